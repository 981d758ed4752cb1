//! Which scripts the fonts of this machine write: a name in another one is boxes in a recording.

use fontdb::Database;

/// A script, some of its letters, and the Debian package of a font that has them.
struct Script {
    name: &'static str,
    letters: &'static str,
    package: &'static str,
}

const SCRIPTS: [Script; 22] = [
    script("Latin", "Añßł", "fonts-dejavu-core"),
    script("Greek", "Αθηνά", "fonts-dejavu-core"),
    script("Cyrillic", "Яїў", "fonts-dejavu-core"),
    script("Hebrew", "שרה", "fonts-dejavu-core"),
    script("Arabic", "مريم", "fonts-dejavu-core"),
    script("Armenian", "Ծովիկ", "fonts-dejavu-core"),
    script("Georgian", "ნინო", "fonts-dejavu-core"),
    script("Chinese", "李明張伟", "fonts-droid-fallback"),
    script("Japanese", "山田さんタ", "fonts-droid-fallback"),
    script("Korean", "김한국힣", "fonts-wqy-microhei"),
    script("Thai", "สมชาย", "fonts-noto-core"),
    script("Lao", "ສົມໄຊ", "fonts-noto-core"),
    script("Khmer", "សុខា", "fonts-noto-core"),
    script("Burmese", "အောင်", "fonts-noto-core"),
    script("Devanagari", "अमित", "fonts-noto-core"),
    script("Bengali", "অমিত", "fonts-noto-core"),
    script("Tamil", "கமல்", "fonts-noto-core"),
    script("Telugu", "రవి", "fonts-noto-core"),
    script("Gujarati", "અમિત", "fonts-noto-core"),
    script("Punjabi", "ਅਮਰ", "fonts-noto-core"),
    script("Sinhala", "අමල්", "fonts-noto-core"),
    script("Ethiopic", "ሰላም", "fonts-noto-core"),
];

const fn script(name: &'static str, letters: &'static str, package: &'static str) -> Script {
    Script { name, letters, package }
}

/// The fonts of this machine, as fontconfig finds them.
pub struct Fonts(Database);

impl Fonts {
    /// Reads the tables of all fonts: some hundred milliseconds where there are many.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let mut fonts = Database::new();
        fonts.load_system_fonts();
        Self(fonts)
    }

    /// The scripts that no font writes, each with the Debian package that would.
    #[must_use]
    pub fn missing_scripts(&self) -> Vec<(&'static str, &'static str)> {
        let is_missing = |script: &&Script| !self.lacking(script.letters).is_empty();
        SCRIPTS.iter().filter(is_missing).map(|script| (script.name, script.package)).collect()
    }

    /// The letters of a text that no font has, each once.
    #[must_use]
    pub fn lacking(&self, text: &str) -> Vec<char> {
        let mut lacking: Vec<char> = Vec::new();
        for letter in text.chars().filter(|letter| !letter.is_whitespace() && !letter.is_control()) {
            if !lacking.contains(&letter) {
                lacking.push(letter);
            }
        }
        for face in self.0.faces() {
            if lacking.is_empty() {
                break;
            }
            self.0.with_face_data(face.id, |data, index| {
                if let Ok(face) = ttf_parser::Face::parse(data, index) {
                    lacking.retain(|letter| face.glyph_index(*letter).is_none());
                }
            });
        }
        lacking
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_no_font_has_are_named_once() {
        let fonts = Fonts::of_this_machine();
        assert_eq!(fonts.lacking("Ann \n"), []);
        // A letter that is none and never will be (Unicode, noncharacters).
        assert_eq!(fonts.lacking("A\u{10fffe}\u{10fffe}"), ['\u{10fffe}']);
        assert_eq!(Fonts(Database::new()).missing_scripts().len(), SCRIPTS.len());
    }

    #[test]
    fn the_fonts_that_setup_installs_write_every_script() {
        assert_eq!(
            Fonts::of_this_machine().missing_scripts(),
            [],
            "scripts/setup test installs what is missing"
        );
    }
}
