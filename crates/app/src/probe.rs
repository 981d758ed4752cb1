//! One question at a time to what may be slow or never answer: a disk, another server.
//!
//! # Invariants
//!
//! - However many ask, it is asked once in [`OVERVIEW_HOLDS`], and by one at a time: while it does not answer, nothing piles up before it.
//! - Nobody waits longer than [`OVERVIEW_WAITS`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reelroom_limits::audit::{OVERVIEW_HOLDS, OVERVIEW_WAITS};
use tokio::sync::Mutex;

/// What was answered last.
pub(crate) struct Probe<T> {
    /// Held by who asks: the others wait for what comes of it.
    last: Mutex<Option<(Instant, T)>>,
    is_asked: Arc<AtomicBool>,
}

impl<T> Default for Probe<T> {
    fn default() -> Self {
        Self { last: Mutex::new(None), is_asked: Arc::default() }
    }
}

/// It is asked, until this is dropped.
struct Asking(Arc<AtomicBool>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl<T: Clone + Send + 'static> Probe<T> {
    /// What `ask` answers, or what was answered a moment ago; `None` where that takes too long.
    pub(crate) async fn ask(&self, ask: impl Future<Output = T> + Send + 'static) -> Option<T> {
        self.ask_within(OVERVIEW_WAITS, ask).await
    }

    async fn ask_within(&self, waits: Duration, ask: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let mut last = self.last.lock().await;
        if let Some((at, known)) = &*last
            && at.elapsed() < OVERVIEW_HOLDS
        {
            return Some(known.clone());
        }
        if self.is_asked.swap(true, Ordering::AcqRel) {
            return None;
        }
        let asking = Asking(Arc::clone(&self.is_asked));
        let answering = tokio::spawn(async move {
            let _asking = asking;
            ask.await
        });
        let answer = tokio::time::timeout(waits, answering).await.ok()?.ok()?;
        *last = Some((Instant::now(), answer.clone()));
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[tokio::test]
    async fn however_many_ask_one_question_is_asked() {
        let (probe, asked) = (Probe::default(), Arc::new(AtomicUsize::new(0)));
        let ask = || {
            let asked = Arc::clone(&asked);
            async move { asked.fetch_add(1, Ordering::Relaxed) }
        };
        let all = futures::future::join_all((0..100).map(|_| probe.ask(ask()))).await;
        assert_eq!(all, [Some(0); 100]);
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn what_does_not_answer_is_waited_for_once_and_asked_again_when_it_has() {
        let (probe, late) = (Probe::default(), Arc::new(tokio::sync::Notify::new()));
        let answers = Arc::clone(&late);
        let slow = async move {
            answers.notified().await;
            1
        };
        assert_eq!(probe.ask_within(Duration::from_millis(5), slow).await, None);
        let at_once =
            tokio::time::timeout(Duration::from_secs(5), probe.ask_within(Duration::MAX, async { 2 }));
        assert_eq!(at_once.await, Ok(None), "the first question is still open");
        late.notify_one();
        while probe.is_asked.load(Ordering::Acquire) {
            tokio::task::yield_now().await;
        }
        assert_eq!(probe.ask(async { 3 }).await, Some(3));
    }
}
