//! Gives up rights: decoders see media of strangers, and one that is taken over shall find nothing to take.
//!
//! ```text
//!   arguments ──> GStreamer's registry ──> enter ──> take, decoders, encoders, file
//!                                            │
//!            landlock: files, TCP, signals   │   seccomp: sockets, programs, the rest   │   limits: memory, no core dumps
//! ```
//!
//! What is left: reading the take and the system's libraries and fonts, writing the one output file and what was opened before, threads, and standard output.
//!
//! - **Files** (landlock, Linux 5.13): the output is made here and allowed as a file, so that its folder is not needed. Names, sizes
//!   and times of other files can still be asked for: no kernel refuses that yet.
//! - **Calls** (seccomp): a list of what is refused, not of what is allowed. A call that a later C library makes
//!   must not cost a recording. Refusals are errors and not death, for the same reason.
//! - **Memory**: a limit of the data segment. Of address space it would be wrong: libraries and thread stacks map far more than they touch.
//! - **Processor time** cannot be known here, because a take may still grow: the supervisor limits it, and refuses that it is changed.
//!
//! Kernels differ: what one does not offer is not enforced, and [`Support`] says so. Invariant: nothing here depends on the media.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    Scope, path_beneath_rules,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use crate::{error::ComposeError, filter};

/// The newest rights that are given up; older kernels know fewer.
const KNOWN: ABI = ABI::V6;
/// 49 people with 1080p cameras in VP9 need half of it: eight reference pictures of 3 MB each, and as many threads' stacks.
pub const MEMORY_BYTES: u64 = 4 << 30;
/// Libraries, plugins, fonts, and what these ask of the machine.
const SYSTEM: [&str; 18] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/local/lib",
    "/nix/store",
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/usr/share/fontconfig",
    "/etc/fonts",
    "/var/cache/fontconfig",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/dev/null",
    "/dev/urandom",
];
/// Where the operator says that there are more of these.
const SYSTEM_VARIABLES: [&str; 5] = [
    "LD_LIBRARY_PATH",
    "GST_PLUGIN_PATH",
    "GST_PLUGIN_PATH_1_0",
    "GST_PLUGIN_SYSTEM_PATH",
    "GST_PLUGIN_SYSTEM_PATH_1_0",
];

/// What this machine's kernel offers to confine a composer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Support {
    /// Version of landlock; 0 without it.
    pub landlock_abi: u32,
    /// Whether calls can be refused.
    pub seccomp: bool,
}

impl Support {
    /// Asks the kernel.
    #[must_use]
    #[expect(unsafe_code, reason = "no crate asks the kernel these two questions")]
    pub fn of_this_kernel() -> Self {
        const VERSION: libc::c_uint = 1;
        let nothing = std::ptr::null::<libc::c_void>();
        // SAFETY: with this flag the call reads no memory; it answers with a number.
        let abi = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0usize, VERSION) };
        // SAFETY: the kernel refuses a filter at address 0 with EFAULT before anything changes, if it knows filters at all.
        let seccomp = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, nothing) };
        let refusal = std::io::Error::last_os_error().raw_os_error();
        Self {
            landlock_abi: abi.try_into().unwrap_or(0),
            seccomp: seccomp == -1 && refusal == Some(libc::EFAULT) && arch().is_some(),
        }
    }

    /// Neither files nor the network are open to a composer.
    #[must_use]
    pub fn is_enough(self) -> bool {
        self.landlock_abi > 0 && self.seccomp
    }
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.landlock_abi {
            0 => write!(f, "files are open to them (no landlock)")?,
            abi => write!(f, "files are closed to them (landlock {abi})")?,
        }
        match self.seccomp {
            true => write!(f, ", network and other programs are closed (seccomp)"),
            false => write!(f, ", network and other programs are open (no seccomp)"),
        }
    }
}

/// Gives up all rights but those needed to compose `take` into `output`, for the calling thread and all that it starts.
///
/// Makes `output` where it is missing. Where the kernel offers less than is wanted, less is given up, with a warning.
///
/// # Errors
/// `output` cannot be written; the kernel refuses what it offers.
pub fn enter(take: &Path, output: &Path) -> Result<Support, ComposeError> {
    // The registry may have to be made, by GStreamer's own helper program: nothing of the take is known yet.
    filter::start()?;
    let mut options = std::fs::File::options();
    options.write(true).create(true).truncate(false).open(output).map_err(ComposeError::output(output))?;
    let fail = |error: &dyn fmt::Display| ComposeError::Sandbox(error.to_string());
    rustix::thread::set_no_new_privs(true).map_err(|error| fail(&error))?;
    // A core would hold what people said and showed.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| fail(&error))?;
    for (resource, most) in [(Resource::Core, 0), (Resource::Data, MEMORY_BYTES)] {
        limit(resource, most).map_err(|error| fail(&error))?;
    }
    let support = Support::of_this_kernel();
    let files = close_files(take, output).map_err(|error| fail(&error))?;
    if support.seccomp {
        refuse_calls().map_err(|error| fail(&error))?;
    }
    if files == RulesetStatus::NotEnforced || !support.seccomp {
        tracing::warn!(%support, "this composer is not confined as it should be");
    }
    Ok(support)
}

/// A limit that is lower already stays.
fn limit(resource: Resource, most: u64) -> rustix::io::Result<()> {
    let old = rustix::process::getrlimit(resource);
    let at_most = |old: Option<u64>| Some(old.map_or(most, |old| old.min(most)));
    setrlimit(resource, Rlimit { current: at_most(old.current), maximum: at_most(old.maximum) })
}

fn close_files(take: &Path, output: &Path) -> Result<RulesetStatus, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let readable = SYSTEM.iter().map(PathBuf::from).chain(named_folders()).chain([take.to_owned()]);
    // Folders that are not there are left out.
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?
        .create()?
        .add_rules(path_beneath_rules(readable, read))?
        .add_rules(path_beneath_rules(
            [output],
            AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate,
        ))?
        .restrict_self()?;
    Ok(status.ruleset)
}

/// What the environment names, and the font index of this user.
fn named_folders() -> impl Iterator<Item = PathBuf> {
    let listed = SYSTEM_VARIABLES.iter().filter_map(std::env::var_os);
    let mut folders: Vec<_> =
        listed.flat_map(|list| std::env::split_paths(&list).collect::<Vec<_>>()).collect();
    let caches = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let caches = caches.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    folders.extend(caches.map(|caches| caches.join("fontconfig")));
    // An empty entry would mean the current folder.
    folders.into_iter().filter(|folder| folder.is_absolute())
}

fn arch() -> Option<TargetArch> {
    TargetArch::try_from(std::env::consts::ARCH).ok()
}

fn refuse_calls() -> Result<(), seccompiler::Error> {
    let Some(arch) = arch() else { return Ok(()) };
    // As if the kernel were an older one: what the C library then does instead can be looked into.
    let unknown = [libc::SYS_clone3, libc::SYS_openat2].map(|call| (call, Vec::new()));
    for (rules, errno) in [(refused()?, libc::EPERM), (BTreeMap::from(unknown), libc::ENOSYS)] {
        let action = SeccompAction::Errno(errno as u32);
        let filter = SeccompFilter::new(with_x32(rules), SeccompAction::Allow, action, arch)?;
        seccompiler::apply_filter(&BpfProgram::try_from(filter)?)?;
    }
    Ok(())
}

/// 64-bit x86 kernels may know every call by a second number.
fn with_x32(rules: BTreeMap<i64, Vec<SeccompRule>>) -> BTreeMap<i64, Vec<SeccompRule>> {
    const X32: i64 = 0x4000_0000;
    if cfg!(target_arch = "x86_64") {
        let twice = |(call, rules): (i64, Vec<SeccompRule>)| [(call, rules.clone()), (call | X32, rules)];
        rules.into_iter().flat_map(twice).collect()
    } else {
        rules
    }
}

/// The calls that are refused, always or with these arguments.
fn refused() -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::Error> {
    use SeccompCmpOp::{Eq, MaskedEq, Ne};
    let mut rules: BTreeMap<_, _> = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let when_of = |width, argument, op, value: u64| -> Result<Vec<SeccompRule>, seccompiler::Error> {
        let condition = SeccompCondition::new(argument, width, op, value)?;
        Ok(vec![SeccompRule::new(vec![condition])?])
    };
    // The kernel looks at so much of them only: whoever fills the rest must not pass.
    let when = |argument, op, value| when_of(SeccompCmpArgLen::Dword, argument, op, value);
    let flags = |flags: libc::c_int| flags as u64;
    let pid = u64::from(std::process::id());
    // Threads, and no processes.
    rules.insert(libc::SYS_clone, when(0, MaskedEq(flags(libc::CLONE_THREAD)), 0)?);
    // `abort` is for this process only.
    rules.insert(libc::SYS_tgkill, when(0, Ne, pid)?);
    rules.insert(libc::SYS_prlimit64, when_of(SeccompCmpArgLen::Qword, 2, Ne, 0)?);
    // Its own threads may be scheduled as they like, and nobody else's.
    for call in [
        libc::SYS_sched_setscheduler,
        libc::SYS_sched_setparam,
        libc::SYS_sched_setattr,
        libc::SYS_sched_setaffinity,
    ] {
        rules.insert(call, when(0, Ne, 0)?);
    }
    // Before its version 3 landlock lets a file be emptied that may only be read.
    let empties = flags(libc::O_TRUNC | libc::O_ACCMODE);
    rules.insert(libc::SYS_openat, when(2, MaskedEq(empties), flags(libc::O_TRUNC | libc::O_RDONLY))?);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_open, when(1, MaskedEq(empties), flags(libc::O_TRUNC | libc::O_RDONLY))?);
    // Keys typed into the terminal it was started from.
    let mut keys = when(1, Eq, libc::TIOCSTI)?;
    keys.extend(when(1, Eq, libc::TIOCLINUX)?);
    rules.insert(libc::SYS_ioctl, keys);
    Ok(rules)
}

/// `socketpair` is not among them: GStreamer wakes its threads by it, and it leads nowhere.
const REFUSED: &[i64] = &[
    // Network.
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    // Other programs.
    libc::SYS_execve,
    libc::SYS_execveat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_setpriority,
    libc::SYS_ioprio_set,
    libc::SYS_perf_event_open,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_mq_open,
    // Ways around this list and around landlock.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_setrlimit,
    // Files: what landlock leaves open.
    libc::SYS_truncate,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_utimensat,
    libc::SYS_fanotify_init,
    libc::SYS_inotify_init1,
    libc::SYS_quotactl,
    libc::SYS_acct,
    // The system.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_personality,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_syslog,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_capset,
];
