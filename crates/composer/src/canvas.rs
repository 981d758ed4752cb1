//! The canvas: one I420 picture, of which only the tiles that changed are drawn again.
//!
//! A tile is redrawn when its track has a new picture or the scene changed; a still shared screen, a frozen or absent camera cost
//! nothing. Invariant: what the canvas shows depends on the last scene and the last picture of each track only.

use std::collections::BTreeMap;

use gstreamer as gst;
use gstreamer_video::{self as gst_video, VideoFrame, VideoFrameExt, video_frame::Writable};
use reelroom_take::TrackId;

use crate::{
    error::ComposeError,
    layout::{Rect, Size, TileShape, Tone, arrange, fit},
    sprite::{Colour, Sprite},
    theme::{self, Placed},
    timeline::{Scene, Tile},
    video::{Picture, picture_info},
};

/// A track's newest picture and its number (a new picture has a new number).
pub type Newest<'a> = dyn Fn(&TrackId) -> Option<(u64, &'a Picture)> + 'a;

/// The picture being composed.
pub struct Canvas {
    size: Size,
    info: gst_video::VideoInfo,
    frame: VideoFrame<Writable>,
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
    converter: Option<Converter>,
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Drawn {
    Nothing,
    Placeholder,
    Picture(u64),
}

struct Converter {
    source: Size,
    format: gst_video::VideoFormat,
    target: Rect,
    convert: gst_video::VideoConverter,
}

impl Canvas {
    /// An empty canvas.
    pub fn new(size: Size) -> Result<Self, ComposeError> {
        let fail = |reason: &str| ComposeError::element("canvas", reason);
        crate::filter::start()?;
        let info = picture_info(gst_video::VideoFormat::I420, size).ok_or_else(|| fail("impossible size"))?;
        let buffer = gst::Buffer::with_size(info.size()).map_err(|_| fail("out of memory"))?;
        let frame = VideoFrame::from_buffer_writable(buffer, &info).map_err(|_| fail("not writable"))?;
        let mut canvas = Self {
            size,
            info,
            frame,
            places: Vec::new(),
            scene: None,
            placeholders: BTreeMap::new(),
            labels: BTreeMap::new(),
        };
        canvas.clear(Tone::Dark);
        Ok(canvas)
    }

    /// What the canvas is.
    #[must_use]
    pub fn info(&self) -> &gst_video::VideoInfo {
        &self.info
    }

    /// Plane `plane` (0 = Y, 1 = U, 2 = V) with its stride.
    #[must_use]
    pub fn plane(&self, plane: u32) -> (&[u8], usize) {
        let data = self.frame.plane_data(plane).expect("I420 has three planes");
        (data, self.frame.plane_stride()[plane as usize] as usize)
    }

    /// Replaces the whole picture by a packed I420 one of the canvas's size; the next scene is drawn anew. For measuring encoders.
    pub fn replace(&mut self, picture: &[u8]) {
        self.scene = None;
        self.places.clear();
        let mut rest = picture;
        for plane in 0..3u32 {
            let shift = usize::from(plane > 0);
            let (width, height) = (self.size.width as usize >> shift, self.size.height as usize >> shift);
            let stride = self.frame.plane_stride()[plane as usize] as usize;
            let data = self.frame.plane_data_mut(plane).expect("I420 has three planes");
            for (to, from) in data.chunks_mut(stride).zip(rest.chunks_exact(width)).take(height) {
                to[..width].copy_from_slice(from);
            }
            rest = rest.get(width * height..).unwrap_or_default();
        }
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
            let drawn = picture.is_some_and(|(_, picture)| match self.draw_picture(place, picture) {
                Ok(()) => true,
                Err(error) => {
                    tracing::warn!(%error, track = ?place.tile.track, "a picture cannot be drawn");
                    false
                }
            });
            if !drawn {
                self.draw_placeholder(place)?;
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
                    converter: None,
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

    fn draw_picture(&mut self, place: &mut Place, picture: &Picture) -> Result<(), ComposeError> {
        let (source, format) = (picture.size(), picture.frame.format());
        let known =
            place.converter.as_ref().is_some_and(|known| known.source == source && known.format == format);
        if !known {
            place.converter = Some(converter(&self.info, picture, place.rect, place.tile.screen)?);
        }
        let converter = place.converter.as_ref().expect("it was just made");
        if converter.target != place.rect {
            self.fill(place.rect, theme::palette(self.tone()).bars);
        }
        converter.convert.frame(&picture.frame, &mut self.frame);
        Ok(())
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
        for plane in 0..3u32 {
            let stride = self.frame.plane_stride()[plane as usize] as usize;
            let data = self.frame.plane_data_mut(plane).expect("I420 has three planes");
            sprite.blend(plane as usize, data, stride, left, top);
        }
    }

    fn fill(&mut self, rect: Rect, colour: Colour) {
        for (plane, value) in (0u32..).zip(colour.yuv()) {
            let shift = u32::from(plane > 0);
            let stride = self.frame.plane_stride()[plane as usize] as usize;
            let data = self.frame.plane_data_mut(plane).expect("I420 has three planes");
            let (x, width) = ((rect.x >> shift) as usize, (rect.width >> shift) as usize);
            for y in (rect.y >> shift) as usize..((rect.y + rect.height) >> shift) as usize {
                data[y * stride + x..y * stride + x + width].fill(value);
            }
        }
    }
}

fn converter(
    canvas: &gst_video::VideoInfo,
    picture: &Picture,
    rect: Rect,
    whole: bool,
) -> Result<Converter, ComposeError> {
    let (source, format) = (picture.size(), picture.frame.format());
    let fit = fit(source, rect.size(), whole);
    let target = Rect { x: rect.x + fit.target.x, y: rect.y + fit.target.y, ..fit.target };
    let mut config = gst_video::VideoConverterConfig::new();
    config.set_src_x(fit.source.x as i32);
    config.set_src_y(fit.source.y as i32);
    config.set_src_width(Some(fit.source.width as i32));
    config.set_src_height(Some(fit.source.height as i32));
    config.set_dest_x(target.x as i32);
    config.set_dest_y(target.y as i32);
    config.set_dest_width(Some(target.width as i32));
    config.set_dest_height(Some(target.height as i32));
    config.set_fill_border(false);
    config.set_resampler_method(gst_video::VideoResamplerMethod::Linear);
    // A second thread only burns processor time at these sizes.
    config.set_threads(1);
    let convert = gst_video::VideoConverter::new(picture.frame.info(), canvas, Some(config))
        .map_err(|error| ComposeError::element("VideoConverter", error))?;
    Ok(Converter { source, format, target, convert })
}
