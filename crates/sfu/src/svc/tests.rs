use proptest::prelude::*;

use super::*;

/// Writes bits, the highest first.
#[derive(Default)]
struct Writer {
    bits: Vec<bool>,
}

impl Writer {
    fn put(&mut self, count: usize, value: u32) -> &mut Self {
        self.bits.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| {
            bits.iter().enumerate().fold(0, |byte, (at, bit)| byte | u8::from(*bit) << (7 - at))
        };
        self.bits.chunks(8).map(byte).collect()
    }
}

/// A keyframe's descriptor: for each template the way to the next one, and what it is to each target.
fn key(template: u32, templates: &[(u32, &[u32])]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.put(2, 0b11).put(6, template).put(16, 1).put(5, 0b10000).put(6, 10);
    writer.put(5, templates[0].1.len() as u32 - 1);
    for (next, _) in templates {
        writer.put(2, *next);
    }
    for indication in templates.iter().flat_map(|(_, indications)| *indications) {
        writer.put(2, *indication);
    }
    writer.bytes()
}

pub(crate) fn delta(template: u32) -> Vec<u8> {
    Writer::default().put(2, 0b11).put(6, template).put(16, 2).bytes()
}

/// Three sizes that need each other in each picture: targets large, middle, small.
pub(crate) fn full() -> Vec<u8> {
    key(10, &[(2, &[3, 3, 2]), (2, &[3, 2, 0]), (3, &[2, 0, 0])])
}

/// Three sizes that need each other in keyframes alone: three templates of those, and three of all others.
pub(crate) fn at_keyframes() -> Vec<u8> {
    let all: [(u32, &[u32]); 6] = [
        (0, &[3, 3, 2]),
        (2, &[0, 0, 2]),
        (0, &[3, 2, 0]),
        (2, &[0, 2, 0]),
        (0, &[2, 0, 0]),
        (3, &[2, 0, 0]),
    ];
    key(10, &all)
}

fn frame(structure: &Structure, bytes: &[u8]) -> Frame {
    Descriptor::read(bytes).unwrap().frame(structure, bytes).unwrap()
}

fn structure(key: &[u8]) -> Structure {
    Descriptor::read(key).unwrap().structure().unwrap().clone()
}

#[test]
fn a_keyframe_tells_sizes_and_what_each_needs() {
    let full = structure(&full());
    assert_eq!((full.sizes(), full.targets), (3, 3));
    assert_eq!([0, 1, 2].map(|size| full.target(size)), [Some(2), Some(1), Some(0)]);
    assert!(full.includes(2, 0) && !full.includes(0, 2));
    assert_eq!(full.layers().collect::<Vec<_>>(), Layer::ALL);
    let apart = structure(&at_keyframes());
    assert_eq!(apart.sizes(), 3);
    assert!(!apart.includes(2, 0), "the large one goes on without the small ones");
    let one = structure(&key(10, &[(3, &[2])]));
    assert_eq!((one.sizes(), one.size_of(Layer::Low)), (1, 0));
    assert_eq!(one.layers().collect::<Vec<_>>(), [Layer::High]);
}

#[test]
fn who_wants_a_smaller_picture_gets_what_it_needs_and_its_end() {
    let key = full();
    let structure = structure(&key);
    let mut picked = Picked::default();
    assert_eq!(
        picked.part(&structure, &frame(&structure, &delta(10)), Layer::Low),
        Part::Nothing,
        "no keyframe yet"
    );
    let begins = frame(&structure, &key);
    assert_eq!(picked.part(&structure, &begins, Layer::High), Part::It { ends_picture: false });
    let sizes = [10, 11, 12].map(|template| frame(&structure, &delta(template)));
    let parts = |picked: &mut Picked, wanted| sizes.map(|frame| picked.part(&structure, &frame, wanted));
    let (goes, ends) = (Part::It { ends_picture: false }, Part::It { ends_picture: true });
    assert_eq!(parts(&mut picked, Layer::High), [goes, goes, ends]);
    assert_eq!(parts(&mut picked, Layer::Medium), [goes, ends, Part::Nothing], "at once");
    assert_eq!(parts(&mut picked, Layer::Low), [ends, Part::Nothing, Part::Nothing]);
    assert!(picked.needs_keyframe(&structure, Layer::High));
    assert_eq!(
        parts(&mut picked, Layer::High),
        [ends, Part::Nothing, Part::Nothing],
        "not without a keyframe"
    );
    assert_eq!(picked.part(&structure, &begins, Layer::High), goes);
    assert_eq!(parts(&mut picked, Layer::High), [goes, goes, ends]);
}

#[test]
fn sizes_that_go_on_apart_change_at_keyframes_alone() {
    let key = at_keyframes();
    let structure = structure(&key);
    let mut picked = Picked::default();
    picked.part(&structure, &frame(&structure, &key), Layer::High);
    let sizes = [11, 13, 15].map(|template| frame(&structure, &delta(template)));
    let (nothing, ends) = (Part::Nothing, Part::It { ends_picture: true });
    for wanted in [Layer::High, Layer::Low] {
        let parts = sizes.map(|frame| picked.part(&structure, &frame, wanted));
        assert_eq!(parts, [nothing, nothing, ends], "{wanted:?}");
    }
    assert!(picked.needs_keyframe(&structure, Layer::Low));
    picked.part(&structure, &frame(&structure, &key), Layer::Low);
    assert_eq!(sizes.map(|frame| picked.part(&structure, &frame, Layer::Low)), [ends, nothing, nothing]);
}

#[test]
fn a_frame_may_say_for_itself_who_needs_it() {
    let structure = structure(&full());
    let mut writer = Writer::default();
    writer.put(2, 0b11).put(6, 10).put(16, 2).put(5, 0b01100).put(3, 0b111);
    let own = writer.put(2, 0).put(2, 0).put(2, 2).bytes();
    assert_eq!(frame(&structure, &own).needed, 0b100);
    let cut_short = &own[..own.len() - 1];
    assert!(Descriptor::read(cut_short).unwrap().frame(&structure, cut_short).is_none());
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(key in proptest::collection::vec(any::<u8>(), 0..80), delta in proptest::collection::vec(any::<u8>(), 0..8)) {
        if let Some(structure) = Descriptor::read(&key).and_then(|descriptor| descriptor.structure) {
            let mut picked = Picked::default();
            for bytes in [&key, &delta] {
                if let Some(frame) = Descriptor::read(bytes).and_then(|descriptor| descriptor.frame(&structure, bytes)) {
                    for layer in Layer::ALL {
                        picked.part(&structure, &frame, layer);
                    }
                }
            }
        }
    }
}
