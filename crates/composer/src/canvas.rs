//! The canvas: one I420 picture, of which only the tiles that changed are drawn again.
//!
//! A tile is redrawn when its track has a new picture or the scene changed; a still shared screen, a frozen or absent camera cost
//! nothing. Invariant: what the canvas shows depends on the last scene and the last picture of each track only.

use std::collections::BTreeMap;

use reelroom_take::TrackId;

use crate::{
    error::ComposeError,
    layout::{Rect, Size, TileShape, Tone, arrange, fit},
    scale::Scaler,
    sprite::{Colour, Sprite},
    theme::{self, Placed},
    timeline::{Scene, Tile},
    video::Picture,
};

/// A track's newest picture and its number (a new picture has a new number).
pub type Newest<'a> = dyn Fn(&TrackId) -> Option<(u64, &'a Picture)> + 'a;

/// The picture being composed.
pub struct Canvas {
    size: Size,
    /// Y, U, V, without space between rows.
    planes: [Vec<u8>; 3],
    places: Vec<Place>,
    scene: Option<Scene>,
    placeholders: BTreeMap<SpriteKey, Sprite>,
    labels: BTreeMap<SpriteKey, Option<Placed>>,
}

/// Name, whether marked as muted, tile size, whether light.
type SpriteKey = (String, bool, u32, u32, bool);

/// A long recording with many renamings must not collect drawings without end.
const MAX_SPRITES: usize = 256;

/// A tile as it is drawn now.
struct Place {
    tile: Tile,
    rect: Rect,
    corners: Vec<Placed>,
    label: Option<Placed>,
    drawn: Drawn,
    fitting: Option<Fitting>,
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Drawn {
    Nothing,
    Placeholder,
    Picture(u64),
}

/// How pictures of one size come into a tile.
struct Fitting {
    source: Size,
    crop: Rect,
    /// On the canvas.
    target: Rect,
    scalers: [Scaler; 3],
}

impl Canvas {
    /// An empty canvas; its sides must be even.
    #[must_use]
    pub fn new(size: Size) -> Self {
        let luma = size.width as usize * size.height as usize;
        let mut canvas = Self {
            size,
            planes: [luma, luma / 4, luma / 4].map(|length| vec![0; length]),
            places: Vec::new(),
            scene: None,
            placeholders: BTreeMap::new(),
            labels: BTreeMap::new(),
        };
        canvas.clear(Tone::Dark);
        canvas
    }

    /// Pixels.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// Rows of plane 0 (Y), 1 (U) or 2 (V), and the bytes from one to the next.
    #[must_use]
    pub fn plane(&self, plane: usize) -> (&[u8], usize) {
        (&self.planes[plane], self.stride(plane))
    }

    fn stride(&self, plane: usize) -> usize {
        self.size.width as usize >> usize::from(plane > 0)
    }

    /// Draws what differs from the last time; says whether anything did.
    pub fn draw(&mut self, scene: &Scene, newest: &Newest<'_>) -> Result<bool, ComposeError> {
        let mut changed = false;
        if self.scene.as_ref() != Some(scene) {
            self.rearrange(scene)?;
            changed = true;
        }
        let mut places = std::mem::take(&mut self.places);
        for place in &mut places {
            let picture = place.tile.track.as_ref().and_then(newest);
            let wanted = picture.map_or(Drawn::Placeholder, |(number, _)| Drawn::Picture(number));
            if wanted == place.drawn {
                continue;
            }
            match picture {
                Some((_, picture)) => self.draw_picture(place, picture),
                None => self.draw_placeholder(place)?,
            }
            for placed in place.corners.iter().chain(&place.label) {
                self.blend(
                    &placed.sprite,
                    place.rect.x as usize + placed.left,
                    place.rect.y as usize + placed.top,
                );
            }
            place.drawn = wanted;
            changed = true;
        }
        self.places = places;
        Ok(changed)
    }

    fn clear(&mut self, tone: Tone) {
        let whole = Rect { x: 0, y: 0, width: self.size.width, height: self.size.height };
        self.fill(whole, theme::palette(tone).background);
    }

    fn tone(&self) -> Tone {
        self.scene.as_ref().map_or(Tone::Dark, |scene| scene.layout.tone)
    }

    fn rearrange(&mut self, scene: &Scene) -> Result<(), ComposeError> {
        let shapes: Vec<TileShape> = scene.tiles.iter().map(|tile| TileShape { large: tile.large }).collect();
        let rects = arrange(self.size, &shapes);
        let tone = scene.layout.tone;
        let same_tone = self.tone() == tone;
        let same_places = same_tone
            && self.places.len() == rects.len()
            && self.places.iter().zip(&rects).all(|(place, rect)| place.rect == *rect);
        if !same_places {
            self.clear(tone);
        }
        let mut old: Vec<Place> = std::mem::take(&mut self.places);
        for (tile, rect) in scene.tiles.iter().zip(rects) {
            let known = old.iter().position(|place| same_tone && place.tile == *tile && place.rect == rect);
            let mut place = match known {
                Some(index) => old.swap_remove(index),
                None => Place {
                    tile: tile.clone(),
                    rect,
                    corners: theme::corners(rect.size(), tone),
                    label: self.label(tile, rect.size(), tone)?,
                    drawn: Drawn::Nothing,
                    fitting: None,
                },
            };
            if !same_places {
                place.drawn = Drawn::Nothing;
            }
            self.places.push(place);
        }
        self.scene = Some(scene.clone());
        Ok(())
    }

    fn label(&mut self, tile: &Tile, size: Size, tone: Tone) -> Result<Option<Placed>, ComposeError> {
        let key = (tile.label.clone(), tile.muted, size.width, size.height, tone == Tone::Light);
        if let Some(known) = self.labels.get(&key) {
            return Ok(known.clone());
        }
        if self.labels.len() >= MAX_SPRITES {
            self.labels.clear();
        }
        let label = theme::name_label(&tile.label, tile.muted, size, tone)?;
        self.labels.insert(key, label.clone());
        Ok(label)
    }

    fn draw_picture(&mut self, place: &mut Place, picture: &Picture) {
        let source = picture.size();
        if place.fitting.as_ref().is_none_or(|known| known.source != source) {
            place.fitting = Some(Fitting::new(source, place.rect, place.tile.screen));
        }
        let fitting = place.fitting.as_mut().expect("it was just made");
        // The bars too: labels and corners are blended onto them.
        if fitting.target != place.rect {
            self.fill(place.rect, theme::palette(self.tone()).bars);
        }
        for (plane, scaler) in fitting.scalers.iter_mut().enumerate() {
            let shift = usize::from(plane > 0);
            let (data, from_stride) = picture.plane(plane);
            let at =
                |rect: Rect, stride: usize| (rect.y as usize >> shift) * stride + (rect.x as usize >> shift);
            let stride = self.stride(plane);
            let (from, to) = (at(fitting.crop, from_stride), at(fitting.target, stride));
            scaler.run(&data[from..], from_stride, &mut self.planes[plane][to..], stride);
        }
    }

    fn draw_placeholder(&mut self, place: &Place) -> Result<(), ComposeError> {
        let (size, tone) = (place.rect.size(), self.tone());
        let key = (place.tile.label.clone(), false, size.width, size.height, tone == Tone::Light);
        if !self.placeholders.contains_key(&key) {
            if self.placeholders.len() >= MAX_SPRITES {
                self.placeholders.clear();
            }
            let sprite = theme::placeholder(&place.tile.label, size, tone)?;
            self.placeholders.insert(key.clone(), sprite);
        }
        let sprite = self.placeholders.remove(&key).expect("it was just made");
        self.blend(&sprite, place.rect.x as usize, place.rect.y as usize);
        self.placeholders.insert(key, sprite);
        Ok(())
    }

    fn blend(&mut self, sprite: &Sprite, left: usize, top: usize) {
        for plane in 0..3 {
            let stride = self.stride(plane);
            sprite.blend(plane, &mut self.planes[plane], stride, left, top);
        }
    }

    fn fill(&mut self, rect: Rect, colour: Colour) {
        for (plane, value) in colour.yuv().into_iter().enumerate() {
            let shift = u32::from(plane > 0);
            let stride = self.stride(plane);
            let (x, width) = ((rect.x >> shift) as usize, (rect.width >> shift) as usize);
            for y in (rect.y >> shift) as usize..((rect.y + rect.height) >> shift) as usize {
                self.planes[plane][y * stride + x..][..width].fill(value);
            }
        }
    }
}

impl Fitting {
    fn new(source: Size, rect: Rect, whole: bool) -> Self {
        let fit = fit(source, rect.size(), whole);
        let target = Rect { x: rect.x + fit.target.x, y: rect.y + fit.target.y, ..fit.target };
        let scaler = |shift: u32| {
            // A picture with an odd side has a chroma sample for half a pixel too.
            let halved = |side: u32| ((side + shift) >> shift) as usize;
            let [from, to] = [fit.source, target].map(|rect| [halved(rect.width), halved(rect.height)]);
            Scaler::new(from, to)
        };
        Self { source, crop: fit.source, target, scalers: [scaler(0), scaler(1), scaler(1)] }
    }
}
