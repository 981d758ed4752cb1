#![allow(clippy::unwrap_used)]

pub(crate) mod house;

use crate::routes::api;

#[test]
fn the_committed_description_of_the_api_is_the_one_that_is_served() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let served = format!("{}\n", api().to_openapi().to_pretty_json().unwrap());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(file, &served).unwrap();
    }
    let committed = std::fs::read_to_string(file).unwrap_or_default();
    assert!(committed == served, "docs/openapi.json is out of date: UPDATE=1 cargo test -p reelroom-app");
}
