//! The table as people read it, and what holds for all of it.

use reelroom_access::{Caller, Reach, RecordingName, Right, Rights, reach};
use reelroom_protocol::ids::RoomName;
use reelroom_routes::{On, Proof, REST};

use super::*;

#[test]
fn the_page_of_access_says_what_the_code_does() {
    let mut page = String::from(
        "# Who may do what\n\nEvery route says what it needs. A caller that the server does not know is answered 401, one that may not do this is answered \
         403. With\n`ACCESS=open` whoever reaches the server is *everybody*; with `ACCESS=invite` it is nobody who does not show more: \
         [signing-in.md](signing-in.md). This\npage is made from the table of routes and from `crates/access` (`UPDATE=1 cargo test -p reelroom`).\n\n## Who has which right\n\n| right | what its holder may do |",
    );
    let columns = columns();
    page += &columns.iter().map(|column| format!(" {} |", column.title)).collect::<String>();
    page += &format!("\n|---|---|{}\n", "---|".repeat(columns.len()));
    for right in Right::ALL {
        page += &format!("| *{}* | {} |", right.name(), right.what());
        page += &columns.iter().map(|column| format!(" {} |", column.cell(*right))).collect::<String>();
        page += "\n";
    }
    page += "\n*Where granted*: the key or the link says so. A participant's token never makes its bearer an admin of a room, and records by the \
             Egress API\nonly where access is open.\n\n## What each route needs\n";
    let mut part = "";
    for row in table() {
        if row.part != part {
            page += &format!("\n### {}\n\n| method | path | needs |\n|---|---|---|\n", row.part);
            part = row.part;
        }
        let method = row.method.as_ref().map_or("any", Method::as_str);
        let path = if row.path == REST { "whatever else".to_owned() } else { format!("`{}`", row.path) };
        page += &format!("| {method} | {path} | {} |\n", row.needs);
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/access.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(file, &page).expect("docs can be written");
    }
    assert!(
        std::fs::read_to_string(file).unwrap_or_default() == page,
        "docs/access.md is not up to date: UPDATE=1 cargo test -p reelroom"
    );
}

/// A caller of the page, as granted nothing and as granted all there is.
struct Column {
    title: &'static str,
    without: Caller,
    with: Caller,
}

impl Column {
    fn cell(&self, right: Right) -> &'static str {
        match (reach(&self.without, right), reach(&self.with, right)) {
            (Reach::Everything, _) => "yes",
            (Reach::Room(_), _) => "in their room",
            (Reach::Recording(_), _) => "of that recording",
            (Reach::Nothing, Reach::Everything) => "where granted",
            (Reach::Nothing, Reach::Room(_)) => "in their room, where granted",
            (Reach::Nothing, Reach::Recording(_)) => "of that recording, where granted",
            (Reach::Nothing, Reach::Nothing) => "–",
        }
    }
}

fn columns() -> Vec<Column> {
    let column = |title, caller: &dyn Fn(Rights) -> Caller| Column {
        title,
        without: caller(Rights::NONE),
        with: caller(Rights::ALL),
    };
    let (room, recording) = (RoomName::from("a room"), RecordingName::from("a recording"));
    vec![
        column("owner", &|_| Caller::Owner),
        column("API key", &|rights| Caller::Key { rights }),
        column("host of a room", &|granted| Caller::Host { room: room.clone(), granted }),
        column("guest of a room", &|granted| Caller::Guest { room: room.clone(), granted }),
        column("viewer of a recording", &|granted| Caller::Viewer { recording: recording.clone(), granted }),
        column("everybody (`ACCESS=open`)", &|_| Caller::Everybody),
        column("nobody", &|_| Caller::Nobody),
    ]
}

#[test]
fn what_needs_nothing_is_what_was_meant_to() {
    let table = table();
    let public: Vec<String> = table
        .iter()
        .filter(|row| row.needs == Needs::Public)
        .map(|row| format!("{} {}", row.method.as_ref().map_or("any", Method::as_str), row.path))
        .collect();
    assert_eq!(
        public,
        [
            "any /twirp",
            "any /twirp/",
            "any /twirp/{*path}",
            "GET /healthz",
            "GET /settings.json",
            "GET /owner/session",
            "GET /owner/oidc",
            "any /{*rest}",
            "GET /",
        ]
    );
}

#[test]
fn each_way_in_has_the_needs_of_its_kind() {
    for row in table() {
        let is_twirp = row.path.starts_with("/twirp/livekit.");
        assert_eq!(row.needs == Needs::Proof(Proof::ApiToken), is_twirp, "{row:?}");
        // What is of one recording is asked for that recording.
        if row.path.starts_with("/recordings/{name}") {
            assert!(
                matches!(
                    row.needs,
                    Needs::Right(_, On::Recording) | Needs::RightOrProof(_, On::Recording, _)
                ),
                "{row:?}"
            );
        }
    }
}
