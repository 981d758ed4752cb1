use std::sync::atomic::Ordering;

use super::*;

fn recording_at(name: &str, room: &str, started_at_ms: i64) -> Recording {
    Recording {
        room_name: room.into(),
        room_id: "RM_1".into(),
        started_at_ms,
        duration_ms: Some(started_at_ms.unsigned_abs() * 10 % 70),
        size: Some(5),
        id: format!("EG_{name}"),
        ..Recording::named(name)
    }
}

fn index() -> (tempfile::TempDir, Index) {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(&folder.path().join("index.db")).unwrap();
    (folder, index)
}

async fn names(index: &Index, query: ListQuery) -> Vec<String> {
    index.page(&query).await.unwrap().recordings.into_iter().map(|recording| recording.name).collect()
}

#[tokio::test]
async fn every_order_pages_through_everything_once() {
    let (_folder, index) = index();
    for n in 0..25 {
        let room = ["b", "A", "ä", ""][n % 4];
        index.put(recording_at(&format!("{n}.mp4"), room, (n / 2) as i64), String::new(), 0).await.unwrap();
    }
    for sort in ["startedAt", "-startedAt", "duration", "-duration", "size", "-size", "roomName", "-roomName"]
    {
        let query = ListQuery { sort: sort.parse().unwrap(), limit: 1000, ..ListQuery::default() };
        let whole = names(&index, query.clone()).await;
        assert_eq!(whole.len(), 25);
        let (mut paged, mut cursor) = (Vec::new(), None);
        loop {
            let page = index.page(&ListQuery { limit: 4, cursor, ..query.clone() }).await.unwrap();
            assert!(page.recordings.len() <= 4);
            paged.extend(page.recordings.into_iter().map(|recording| recording.name));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(paged, whole, "{sort}");
    }
    let newest = names(&index, ListQuery { limit: 2, ..ListQuery::default() }).await;
    assert_eq!(newest, ["24.mp4", "23.mp4"]);
}

#[tokio::test]
async fn filters_are_exact_and_text_is_found_in_any_case() {
    let (_folder, index) = index();
    index.put(recording_at("one.mp4", "Räume 100%", 1), String::new(), 0).await.unwrap();
    index.put(recording_at("TWO_x.mp4", "räume", 2), String::new(), 0).await.unwrap();
    let failed = Recording { status: Status::Failed, ..recording_at("three.mp4", "' OR 1=1 --", 3) };
    index.put(failed, String::new(), 0).await.unwrap();
    let text = |text: &str| ListQuery { text: Some(text.into()), ..ListQuery::default() };
    assert_eq!(names(&index, text("RÄUME")).await, ["TWO_x.mp4", "one.mp4"]);
    assert_eq!(names(&index, text("two_")).await, ["TWO_x.mp4"]);
    assert_eq!(names(&index, text("%")).await, ["one.mp4"]);
    assert_eq!(names(&index, text("' or")).await, ["three.mp4"]);
    let room = |room: &str| ListQuery { room_name: Some(room.into()), ..ListQuery::default() };
    assert_eq!(names(&index, room("räume")).await, ["TWO_x.mp4"]);
    assert!(names(&index, room("' OR 1=1")).await.is_empty());
    let status = ListQuery { status: vec![Status::Failed], ..ListQuery::default() };
    assert_eq!(names(&index, status).await, ["three.mp4"]);
}

#[tokio::test]
async fn what_is_in_the_making_is_noted_until_it_is_complete_or_the_index_is_opened_again() {
    let (folder, index) = index();
    let making = Recording { status: Status::Recording, ..recording_at("a.mp4", "r", 1) };
    assert!(index.note(making.clone(), String::new(), 0).await.unwrap());
    // A template may be resolved late: the name changes, the recording does not.
    let renamed = Recording { name: "b.mp4".into(), ..making.clone() };
    assert!(index.note(renamed.clone(), String::new(), 0).await.unwrap());
    assert_eq!(names(&index, ListQuery::default()).await, ["b.mp4"]);
    index.put(Recording { status: Status::Complete, ..renamed.clone() }, "etag".into(), 0).await.unwrap();
    assert!(!index.note(Recording { status: Status::Finishing, ..renamed }, String::new(), 0).await.unwrap());
    assert_eq!(index.by_name("b.mp4").await.unwrap().unwrap().status, Status::Complete);

    let other = Recording { status: Status::Starting, ..recording_at("c.mp4", "r", 1) };
    index.note(other, String::new(), 0).await.unwrap();
    drop(index);
    let index = Index::open(&folder.path().join("index.db")).unwrap();
    assert_eq!(names(&index, ListQuery::default()).await, ["b.mp4"]);
}

#[tokio::test]
async fn what_is_put_back_takes_the_place_of_nothing() {
    let (_folder, index) = index();
    let complete = recording_at("a.mp4", "r", 1);
    index.put(complete.clone(), "etag".into(), 1).await.unwrap();
    let failed = |name: &str, id: &str| Recording {
        id: id.into(),
        status: Status::Failed,
        ..recording_at(name, "r", 2)
    };
    let waiting = Recording { id: complete.id.clone(), ..recording_at("b.mp4", "r", 3) };
    let all = [failed("a.mp4", "EG_x"), failed("c.mp4", &complete.id), failed("d.mp4", "EG_d"), waiting];
    for _ in 0..2 {
        index.put_back(&all).unwrap();
        assert_eq!(names(&index, ListQuery::default()).await, ["b.mp4", "d.mp4", "a.mp4"]);
        assert_eq!(index.by_name("a.mp4").await.unwrap().unwrap(), complete);
    }
}

#[tokio::test]
async fn an_index_that_is_deleted_while_it_is_used_is_written_anew_as_it_was() {
    let (folder, index) = index();
    let file = folder.path().join("index.db");
    let making = Recording { status: Status::Recording, ..recording_at("a.mp4", "room", 1) };
    index.note(making, String::new(), 0).await.unwrap();
    let search = || ListQuery { text: Some("room".into()), ..ListQuery::default() };
    for (round, deleted) in [&["", "-wal", "-shm"][..], &[""][..], &["", "-wal"][..]].into_iter().enumerate()
    {
        let next = format!("b {round}.mp4");
        index.put(recording_at(&next, "room", 2), String::new(), 0).await.unwrap();
        assert_eq!(names(&index, ListQuery::default()).await[0], next);
        for suffix in deleted {
            std::fs::remove_file(folder.path().join(format!("index.db{suffix}"))).unwrap();
        }
        let asking: Vec<_> = (0..6)
            .map(|number| {
                let (index, query) =
                    (index.clone(), if number % 2 == 0 { ListQuery::default() } else { search() });
                tokio::spawn(async move { index.page(&query).await.unwrap().recordings.len() })
            })
            .collect();
        for asked in asking {
            assert_eq!(asked.await.unwrap(), round + 2);
        }
        assert!(file.is_file());
        index.put(recording_at("a.mp4", "room", 1), String::new(), 0).await.unwrap();
        assert_eq!(names(&index, search()).await.len(), round + 2);
    }
    drop(index);
    assert_eq!(names(&Index::open(&file).unwrap(), ListQuery::default()).await.len(), 4);
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[tokio::test]
async fn a_damaged_index_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("index.db");
    std::fs::write(&file, vec![7; 10_000]).unwrap();
    let index = Index::open(&file).unwrap();
    assert!(names(&index, ListQuery::default()).await.is_empty());
}

#[test]
fn a_question_while_the_program_ends_is_no_panic() {
    let (_folder, index) = index();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let (begun, begins) = std::sync::mpsc::channel();
    let (ended, ends) = std::sync::mpsc::channel();
    let asking = runtime.spawn(async move {
        begun.send(()).unwrap();
        ends.recv().unwrap();
        index.counts().await
    });
    begins.recv().unwrap();
    runtime.shutdown_background();
    ended.send(()).unwrap();
    let asked = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(asking);
    assert!(asked.is_err_and(|error| error.is_cancelled()), "it is dropped like everything else");
}

#[tokio::test]
async fn searches_wait_in_a_line_of_bounded_length_and_lists_pass_them() {
    let (_folder, index) = index();
    index.put(recording_at("a.mp4", "room", 1), String::new(), 0).await.unwrap();
    let (release, held) = std::sync::mpsc::channel::<()>();
    // It stands for a search that takes long.
    let slow = index.searches.clone();
    let slow = tokio::spawn(async move { slow.run(move |_| Ok(held.recv().is_ok())).await });
    while index.searches.places.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let search = || ListQuery { text: Some("a".into()), ..ListQuery::default() };
    let waiting: Vec<_> = (0..SEARCHES_WAITING)
        .map(|_| {
            let index = index.clone();
            tokio::spawn(async move { index.page(&search()).await })
        })
        .collect();
    while index.searches.waiting.load(Ordering::Relaxed) < SEARCHES_WAITING {
        tokio::task::yield_now().await;
    }
    assert!(matches!(index.page(&search()).await, Err(LibraryError::Busy)));
    assert_eq!(names(&index, ListQuery::default()).await, ["a.mp4"], "a list does not wait");
    index.put(recording_at("b.mp4", "room", 2), String::new(), 0).await.unwrap();
    assert_eq!(index.counts().await.unwrap()[&Status::Complete], 2);
    // Who goes away makes room.
    waiting[0].abort();
    while index.searches.waiting.load(Ordering::Relaxed) == SEARCHES_WAITING {
        tokio::task::yield_now().await;
    }
    release.send(()).unwrap();
    assert!(slow.await.unwrap().unwrap());
    for waited in waiting.into_iter().skip(1) {
        assert_eq!(waited.await.unwrap().unwrap().recordings.len(), 1);
    }
}

#[tokio::test]
async fn what_finished_recordings_take_is_counted_as_far_as_it_is_known() {
    let (_folder, index) = index();
    assert_eq!(index.usage().await.unwrap(), Usage::default());
    let of = |name: &str, status, size, duration_ms| Recording {
        status,
        size,
        duration_ms,
        ..recording_at(name, "own", 1)
    };
    for recording in [
        of("a", Status::Complete, Some(4000), Some(2000)),
        of("b", Status::Complete, Some(500), None),
        of("c", Status::Complete, None, Some(9000)),
        of("d", Status::Failed, Some(7), Some(7)),
    ] {
        index.put(recording, String::new(), 0).await.unwrap();
    }
    let usage = index.usage().await.unwrap();
    assert_eq!(usage, Usage { recordings: 3, bytes: 4500, timed_bytes: 4000, timed_ms: 2000 });
    assert_eq!((usage.bytes_per_s(2000), usage.bytes_per_s(2001)), (Some(2000), None));
}
