//! One GStreamer element as a function: `push(buffer) -> buffers`.
//!
//! ```text
//!   push(buffer) ──> feed pad ──> [ element ] ──> catch pad ──> Vec<Caught>
//!                                     │
//!                                    bus  ──> errors
//! ```
//!
//! There is no pipeline, clock, queue or thread: everything the element makes of a buffer is in the returned list. Invariants:
//! the element runs in the calling thread; what comes out carries the caps it came out with.

use std::sync::{Arc, Mutex, MutexGuard};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;

use crate::error::ComposeError;

/// What an element gave out.
#[derive(Debug, Clone)]
pub struct Caught {
    /// The data.
    pub buffer: gst::Buffer,
    /// What they are.
    pub caps: gst::Caps,
}

/// The element did not take a buffer. It may take the next one.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{flow}: {reason}")]
pub struct Refused {
    /// How the element answered.
    pub flow: gst::FlowError,
    /// What it posted on its bus, if anything.
    pub reason: String,
}

#[derive(Default)]
struct Catch {
    caps: Option<gst::Caps>,
    buffers: Vec<Caught>,
}

/// An element with two free-standing pads.
pub struct Filter {
    element: gst::Element,
    feed: gst::Pad,
    bus: gst::Bus,
    catch: Arc<Mutex<Catch>>,
    fed_caps: Option<gst::Caps>,
    /// Keeps the catching pad alive and active.
    _catch_pad: gst::Pad,
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Filter").field(&self.element.name()).finish()
    }
}

/// Makes GStreamer usable; as often as wanted.
pub(crate) fn start() -> Result<(), ComposeError> {
    gst::init().map_err(|error| ComposeError::element("GStreamer", error))
}

fn lock(catch: &Mutex<Catch>) -> MutexGuard<'_, Catch> {
    catch.lock().expect("nothing panics while it holds this lock")
}

impl Filter {
    /// Makes `factory` (from the Debian package `package`) into a function whose results have `wanted` caps.
    /// `configure` sets the element's properties.
    pub fn new(
        factory: &'static str,
        package: &'static str,
        wanted: gst::Caps,
        configure: impl FnOnce(&gst::Element),
    ) -> Result<Self, ComposeError> {
        start()?;
        let element = gst::ElementFactory::make(factory)
            .build()
            .map_err(|_| ComposeError::MissingElement { element: factory, package })?;
        configure(&element);
        let fail = |reason: String| ComposeError::element(factory, reason);

        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));

        let catch = Arc::new(Mutex::new(Catch::default()));
        let feed = gst::Pad::builder(gst::PadDirection::Src).build();
        let catch_pad = gst::Pad::builder(gst::PadDirection::Sink)
            .chain_function({
                let catch = Arc::clone(&catch);
                move |_, _, buffer| {
                    let mut catch = lock(&catch);
                    let caps = catch.caps.clone().ok_or(gst::FlowError::NotNegotiated)?;
                    catch.buffers.push(Caught { buffer, caps });
                    Ok(gst::FlowSuccess::Ok)
                }
            })
            .event_function({
                let catch = Arc::clone(&catch);
                move |_, _, event| {
                    if let gst::EventView::Caps(event) = event.view() {
                        lock(&catch).caps = Some(event.caps_owned());
                    }
                    true
                }
            })
            .query_function(move |pad, parent, query| match query.view_mut() {
                gst::QueryViewMut::Caps(query) => {
                    let caps = match query.filter() {
                        Some(filter) => filter.intersect_with_mode(&wanted, gst::CapsIntersectMode::First),
                        None => wanted.clone(),
                    };
                    query.set_result(&caps);
                    true
                }
                gst::QueryViewMut::Allocation(query) => {
                    query.add_allocation_meta::<gst_video::VideoMeta>(None);
                    true
                }
                _ => gst::Pad::query_default(pad, parent, query),
            })
            .build();

        let sink = element.static_pad("sink").or_else(|| element.static_pad("text_sink"));
        let sink = sink.ok_or_else(|| fail("no sink pad".into()))?;
        let src = element.static_pad("src").ok_or_else(|| fail("no source pad".into()))?;
        src.link(&catch_pad).map_err(|error| fail(format!("{error:?}")))?;
        catch_pad.set_active(true).map_err(|error| fail(error.to_string()))?;
        feed.set_active(true).map_err(|error| fail(error.to_string()))?;
        feed.link(&sink).map_err(|error| fail(format!("{error:?}")))?;
        element.set_state(gst::State::Playing).map_err(|error| fail(error.to_string()))?;
        feed.push_event(gst::event::StreamStart::new(factory));

        Ok(Self { element, feed, bus, catch, fed_caps: None, _catch_pad: catch_pad })
    }

    /// Pushes one buffer of `caps`; gives back what came out, in order. Also after a refusal: what came out before it is not lost,
    /// it comes with the next success.
    pub fn push(&mut self, buffer: gst::Buffer, caps: &gst::Caps) -> Result<Vec<Caught>, Refused> {
        if self.fed_caps.as_ref() != Some(caps) {
            self.feed.push_event(gst::event::Caps::new(caps));
            if self.fed_caps.is_none() {
                let segment = gst::FormattedSegment::<gst::ClockTime>::new();
                self.feed.push_event(gst::event::Segment::new(&segment));
            }
            self.fed_caps = Some(caps.clone());
        }
        match self.feed.push(buffer) {
            Ok(_) => Ok(self.caught()),
            Err(flow) => Err(Refused { flow, reason: self.complaints() }),
        }
    }

    /// Says that nothing is to be had from `at` for `duration`: a decoder conceals the loss. Gives back the concealment.
    pub fn gap(&mut self, at: gst::ClockTime, duration: gst::ClockTime) -> Vec<Caught> {
        self.feed.push_event(gst::event::Gap::builder(at).duration(duration).build());
        self.caught()
    }

    /// Ends the stream; gives back what the element had kept.
    pub fn finish(mut self) -> Vec<Caught> {
        self.end()
    }

    /// [`Filter::finish`] for an owner that is dropped afterwards.
    pub(crate) fn end(&mut self) -> Vec<Caught> {
        self.feed.push_event(gst::event::Eos::new());
        self.caught()
    }

    fn caught(&self) -> Vec<Caught> {
        std::mem::take(&mut lock(&self.catch).buffers)
    }

    fn complaints(&self) -> String {
        let mut texts = Vec::new();
        while let Some(message) = self.bus.pop() {
            if let gst::MessageView::Error(error) = message.view() {
                texts.push(error.error().to_string());
            }
        }
        texts.join("; ")
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        // An element that does not stop is leaked by GStreamer, which says so itself.
        let _ = self.element.set_state(gst::State::Null);
    }
}
