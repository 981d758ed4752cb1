//! What is known of shares and of who watches, in memory: as the truth has it, and what happened since.
//!
//! # Invariants
//!
//! - Nothing is here that gives somebody something and is not in the truth.
//! - What was revoked or forgotten is so here before it is so in the truth, and stays noted until it is.
//! - A view that is over stays until all of it is written down and no answer counts for it any more. As no view begins while the disk takes
//!   nothing, there are no more of these than of views.

use std::time::Instant;

use reelroom_accounts::Now;
use reelroom_limits::shares::VIEWS_KEPT_EVERY;
use reelroom_truth::{ShareNews, Truth};

use crate::error::SharesError;
use crate::ids::ShareId;
use crate::share::KeptShare;
use crate::view::LiveView;
use crate::viewing::Reading;

/// What is known of shares.
pub(crate) struct State {
    pub(crate) shares: Vec<KeptShare>,
    /// That go on.
    pub(crate) views: Vec<LiveView>,
    /// Views that are over.
    over: Vec<LiveView>,
    /// Shares whose recording was deleted, and which may still stand in the truth.
    pub(crate) forgotten: Vec<ShareId>,
    kept_at: Option<Instant>,
}

impl State {
    /// What the truth knows.
    pub(crate) fn read(truth: &Truth) -> Result<Self, SharesError> {
        Ok(Self {
            shares: truth.shares()?.into_iter().map(KeptShare::from).collect(),
            views: Vec::new(),
            over: Vec::new(),
            forgotten: Vec::new(),
            kept_at: None,
        })
    }

    /// Whether the last time is long enough ago; then it is now.
    pub(crate) fn is_time_to_keep(&mut self, now: Now) -> bool {
        let is_time = self.kept_at.is_none_or(|at| now.at.saturating_duration_since(at) >= VIEWS_KEPT_EVERY);
        if is_time {
            self.kept_at = Some(now.at);
        }
        is_time
    }

    pub(crate) fn share(&self, recording: &str, id: &ShareId) -> Result<&KeptShare, SharesError> {
        let is_it = |share: &&KeptShare| share.id == *id && *share.recording == *recording;
        self.shares.iter().find(is_it).ok_or(SharesError::Unknown)
    }

    pub(crate) fn share_mut(&mut self, recording: &str, id: &ShareId) -> Result<&mut KeptShare, SharesError> {
        let is_it = |share: &&mut KeptShare| share.id == *id && *share.recording == *recording;
        self.shares.iter_mut().find(is_it).ok_or(SharesError::Unknown)
    }

    /// How many watch by a share.
    pub(crate) fn watching(&self, share: &ShareId) -> usize {
        self.views.iter().filter(|view| view.share == *share).count()
    }

    /// Ends views, and what is under way to them.
    pub(crate) fn end_views(&mut self, is_it: impl Fn(&LiveView) -> bool) {
        for view in self.views.extract_if(.., |view| is_it(view)) {
            view.ends.cancel();
            self.over.push(view);
        }
    }

    /// Ends views in which nothing is done, and those of shares that are over.
    pub(crate) fn end_what_is_over(&mut self, now: Now) {
        let over: Vec<ShareId> =
            self.shares.iter().filter(|share| share.is_over(now)).map(|share| share.id.clone()).collect();
        self.end_views(|view| view.is_idle(now) || over.contains(&view.share));
    }

    /// Shares and their views are not known any more. Says which.
    pub(crate) fn drop_shares(&mut self, is_it: impl Fn(&KeptShare) -> bool) -> Vec<ShareId> {
        let gone: Vec<ShareId> = self
            .shares
            .extract_if(.., |share| is_it(share))
            .map(|share| {
                share.ends.cancel();
                share.id
            })
            .collect();
        self.end_views(|view| gone.contains(&view.share));
        gone
    }

    /// What takes something away and is not written down.
    pub(crate) fn ends(&self) -> ShareNews {
        let unwritten = self.shares.iter().filter(|share| !share.is_revocation_written);
        ShareNews {
            revoked: unwritten
                .filter_map(|share| Some((share.id.as_str().to_owned(), share.revoked_ms?)))
                .collect(),
            forgotten: self.forgotten.iter().map(|id| id.as_str().to_owned()).collect(),
            ..ShareNews::default()
        }
    }

    /// Whatever is not written down.
    pub(crate) fn news(&self) -> ShareNews {
        let views = self.views.iter().chain(&self.over).filter(|view| !view.is_written());
        ShareNews { seen: views.map(LiveView::row).collect(), ..self.ends() }
    }

    /// This has been written down.
    pub(crate) fn written(&mut self, news: &ShareNews) {
        for share in &mut self.shares {
            share.is_revocation_written |= news.revoked.iter().any(|(id, _)| id == share.id.as_str());
        }
        self.forgotten.retain(|forgotten| !news.forgotten.iter().any(|id| id == forgotten.as_str()));
        for seen in &news.seen {
            let written = Reading {
                seen_ms: seen.seen_ms,
                sent_bytes: seen.sent_bytes,
                reached_bytes: seen.reached_bytes,
            };
            if let Some(view) = self.views.iter_mut().chain(&mut self.over).find(|view| view.is(&seen.id)) {
                view.written = written;
            }
        }
        // In this order: what is counted between the two is seen by the second.
        self.over.retain(|view| !(view.is_left() && view.is_written()));
    }
}
