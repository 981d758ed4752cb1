//! Of the audit log and the overview: what was done to recordings and rights, and what goes on.

use std::time::Duration;

limits! {
    /// Acts that the audit log keeps; the oldest are forgotten, some hundreds at a time.
    pub const AUDIT_ACTS: usize = 100_000;
    /// Of these, uses of a right that anybody makes many of: tokens for rooms, and recordings that were opened. With more the oldest of them are
    /// forgotten, so that they push out nothing else.
    pub const AUDIT_USES: usize = 50_000;
    /// How long an act or a refusal is kept.
    pub const AUDIT_LASTS: Duration = Duration::from_secs(400 * 24 * 60 * 60);
    /// Acts that are forgotten at once.
    pub const AUDIT_FORGOTTEN_AT_ONCE: usize = 1000;
    /// After how many acts it is looked what is to be forgotten.
    pub const AUDIT_FORGETS_AFTER: usize = 500;
    /// Acts that wait to be written while the disk takes nothing; what comes then is counted, and in the log of the program alone.
    pub const AUDIT_UNWRITTEN: usize = 1000;
    /// Of these, uses of a right that anybody makes many of: the rest of the places is for acts that change something.
    pub const AUDIT_UNWRITTEN_USES: usize = 500;
    /// Bytes of a name, an id, a detail or a reason in the audit log; the rest is cut off.
    pub const AUDIT_TEXT_BYTES: usize = 300;
    /// Lines of refusals of strangers that the audit log keeps, and as many of those who are known, each with how often; the one that was counted longest
    /// ago is forgotten first. No refusal pushes out an act.
    pub const AUDIT_REFUSALS: usize = 1000;
    /// How often refusals are written down at most.
    pub const AUDIT_REFUSALS_EVERY: Duration = Duration::from_secs(10);
    /// Different refusals of strangers that are counted apart until they are written down, and as many of those who are known; further ones are counted together, by what was refused.
    pub const AUDIT_REFUSALS_APART: usize = 256;
    /// Refusals of a kind are one line as long as no more time than this is between them.
    pub const AUDIT_REFUSALS_TOGETHER: Duration = Duration::from_secs(60 * 60);
    /// As long as no more time than this is between the requests of somebody for a recording, they are one act.
    pub const AUDIT_OPENED_TOGETHER: Duration = Duration::from_secs(10 * 60);
    /// Recordings that were opened and are remembered for that; beyond it the longest ago is forgotten, and one may be told twice.
    pub const AUDIT_OPENED: usize = 4096;
    /// Recordings that were started and are remembered, so that it is known which were not started by this program; the oldest are forgotten.
    pub const AUDIT_STARTS: usize = 1024;
    /// Bytes of a text that is looked for in the audit log; a longer one is refused.
    pub const AUDIT_SEARCH_BYTES: usize = 200;
    /// Acts that are looked through for one answer; whoever searches on asks for what is older.
    pub const AUDIT_LOOKED_THROUGH: usize = 10_000;
    /// For how long what the overview tells of rooms and of the disk counts; however many ask, it is looked at once.
    pub const OVERVIEW_HOLDS: Duration = Duration::from_secs(2);
    /// How long the media server, the index and the disk may take to tell what the overview shows; then it is shown without, and says so.
    pub const OVERVIEW_WAITS: Duration = Duration::from_secs(3);
    /// Rooms in the overview; more are counted.
    pub const OVERVIEW_ROOMS: usize = 200;
    /// People of a room in the overview; more are counted.
    pub const OVERVIEW_PEOPLE: usize = 100;
    /// Rooms of which it is asked at once who is in.
    pub const OVERVIEW_ASKED_AT_ONCE: usize = 8;
    /// Recordings in each of the overview's lists; more are counted.
    pub const OVERVIEW_RECORDINGS: usize = 200;
    /// Participants of whom it is remembered for the overview as whom they got their token; the oldest are forgotten.
    pub const OVERVIEW_ROLES: usize = 10_000;
}
