/*
 * The floor of the benchmark: a container with the system calls that it needs and nothing else. No checks of what the
 * image holds, no files of its own, no init, no log, no answer but its time.
 *
 *   minimal ROOT WORK FILTER RUNS PROGRAM [ARGUMENT..]
 *
 * ROOT is the lower layer of an overlay, WORK an empty directory that mounts go to, FILTER the instructions of a seccomp
 * program as the kernel takes them. Enters a user namespace and a mount namespace once and then starts RUNS containers
 * one after the other; prints the nanoseconds of each, from before its clone to after its end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* sys/mount.h and linux/mount.h do not go together. */
#define MNT_DETACH 2
extern int mount(const char *, const char *, const char *, unsigned long, const void *);
extern int umount2(const char *, int);

#define CHECK(call)                                                                                                    \
	({                                                                                                             \
		long result_ = (long)(call);                                                                           \
		if (result_ < 0)                                                                                       \
			die(#call);                                                                                    \
		result_;                                                                                               \
	})

static void die(const char *what)
{
	fprintf(stderr, "minimal: %s: %s\n", what, strerror(errno));
	_exit(1);
}

struct clone_args_ {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};

static const char *const masked[] = {
	"proc/acpi",	     "proc/asound",	"proc/interrupts", "proc/kcore",
	"proc/keys",	     "proc/latency_stats", "proc/sched_debug", "proc/scsi",
	"proc/timer_list",   "proc/timer_stats", "sys/devices/virtual/powercap", "sys/firmware",
};
static const char *const read_only[] = { "proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger" };
static const char *const nodes[] = { "null", "zero", "full", "random", "urandom", "tty" };
static const char *const links[][2] = {
	{ "/proc/self/fd", "dev/fd" },	     { "/proc/self/fd/0", "dev/stdin" }, { "/proc/self/fd/1", "dev/stdout" },
	{ "/proc/self/fd/2", "dev/stderr" }, { "pts/ptmx", "dev/ptmx" },	 { "/proc/kcore", "dev/core" },
};
/* Podman's eleven: chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, sys_chroot,
 * setfcap. */
static const uint64_t kept = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 18 |
			     1u << 31;

static int fs(const char *kind, const char *const (*options)[2])
{
	int fd = CHECK(syscall(SYS_fsopen, kind, 1));
	for (; options && (*options)[0]; options++)
		CHECK(syscall(SYS_fsconfig, fd, (*options)[1] ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, (*options)[0],
			      (*options)[1], 0));
	CHECK(syscall(SYS_fsconfig, fd, FSCONFIG_CMD_CREATE, 0, 0, 0));
	int tree = CHECK(syscall(SYS_fsmount, fd, 1, 0));
	close(fd);
	return tree;
}

static void attributes(int fd, uint64_t set, unsigned flags)
{
	struct mount_attr attr = { .attr_set = set };
	CHECK(syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | flags, &attr, sizeof attr));
}

static void attach(int tree, const char *at)
{
	CHECK(syscall(SYS_move_mount, tree, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH));
	close(tree);
}

static int copy(const char *path)
{
	return syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
}

#define RESTRICTED (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

/* The process is in `work`, which has upper/, root/ and empty/. */
static void container(const char *lower, const struct sock_fprog *filter, char **argv)
{
	CHECK(sethostname("minimal", 7));
	int socket_ = CHECK(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	CHECK(ioctl(socket_, SIOCSIFFLAGS, &lo));
	close(socket_);

	attach(fs("tmpfs", (const char *const[][2]){ { "mode", "0700" }, { 0 } }), "upper");
	CHECK(mkdir("upper/upper", 0755));
	CHECK(mkdir("upper/work", 0700));
	attach(fs("overlay", (const char *const[][2]){ { "userxattr" },
						       { "volatile" },
						       { "lowerdir+", lower },
						       { "upperdir", "upper/upper" },
						       { "workdir", "upper/work" },
						       { 0 } }),
	       "root");
	CHECK(chdir("root"));

	attach(fs("tmpfs", (const char *const[][2]){ { "mode", "0755" }, { "size", "64k" }, { 0 } }), "dev");
	for (unsigned i = 0; i < sizeof nodes / sizeof *nodes; i++) {
		char from[16], to[16];
		snprintf(from, sizeof from, "/dev/%s", nodes[i]);
		snprintf(to, sizeof to, "dev/%s", nodes[i]);
		close(CHECK(open(to, O_CREAT | O_EXCL | O_WRONLY, 0666)));
		attach(CHECK(copy(from)), to);
	}
	for (unsigned i = 0; i < sizeof links / sizeof *links; i++)
		CHECK(symlink(links[i][0], links[i][1]));
	CHECK(mkdir("dev/pts", 0755));
	CHECK(mkdir("dev/shm", 0755));
	CHECK(mkdir("dev/mqueue", 0755));
	int pts = fs("devpts",
		     (const char *const[][2]){ { "newinstance" }, { "ptmxmode", "0666" }, { "mode", "0620" }, { 0 } });
	attributes(pts, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, 0);
	attach(pts, "dev/pts");
	int shm = fs("tmpfs", (const char *const[][2]){ { "mode", "1777" }, { "size", "1g" }, { 0 } });
	attributes(shm, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0);
	attach(shm, "dev/shm");
	int mqueue = fs("mqueue", 0);
	attributes(mqueue, RESTRICTED, 0);
	attach(mqueue, "dev/mqueue");

	int proc = fs("proc", 0);
	attributes(proc, RESTRICTED, 0);
	attach(proc, "proc");
	int sys = fs("sysfs", 0);
	attributes(sys, RESTRICTED | MOUNT_ATTR_RDONLY, 0);
	attach(sys, "sys");
	for (unsigned i = 0; i < sizeof masked / sizeof *masked; i++) {
		struct stat stat_;
		if (stat(masked[i], &stat_) < 0)
			continue;
		attach(CHECK(copy(S_ISDIR(stat_.st_mode) ? "../empty" : "/dev/null")), masked[i]);
	}
	for (unsigned i = 0; i < sizeof read_only / sizeof *read_only; i++) {
		int tree = copy(read_only[i]);
		if (tree < 0)
			continue;
		attributes(tree, RESTRICTED | MOUNT_ATTR_RDONLY, 0);
		attach(tree, read_only[i]);
	}

	CHECK(syscall(SYS_pivot_root, ".", "."));
	CHECK(umount2(".", MNT_DETACH));
	CHECK(chdir("/"));

	CHECK(setsid());
	for (int capability = 0; capability <= 63; capability++)
		if (!(kept >> capability & 1) && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
			break;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2] = { { .effective = (uint32_t)kept, .permitted = (uint32_t)kept } };
	CHECK(syscall(SYS_capset, &header, sets));
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK(syscall(SYS_close_range, 3, ~0u, 0));
	CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, filter));
	char *environment[] = { "PATH=/usr/bin:/bin", "HOME=/root", 0 };
	execve(argv[0], argv, environment);
	die("execve");
}

static void put(const char *path, const char *text)
{
	int fd = CHECK(open(path, O_WRONLY | O_CLOEXEC));
	CHECK(write(fd, text, strlen(text)));
	close(fd);
}

/* The same rungs as the runtime's: root maps a range that nobody uses, anybody else only themselves. */
static void namespaces(void)
{
	uid_t uid = getuid();
	gid_t gid = getgid();
	int ready[2], mapped[2];
	char byte = 0;
	CHECK(pipe(ready));
	CHECK(pipe(mapped));
	pid_t parent = getpid();
	pid_t helper = CHECK(fork());
	if (helper == 0) {
		char path[64], text[64];
		CHECK(read(ready[0], &byte, 1));
		if (uid != 0) {
			snprintf(path, sizeof path, "/proc/%d/setgroups", parent);
			put(path, "deny");
		}
		snprintf(path, sizeof path, "/proc/%d/uid_map", parent);
		snprintf(text, sizeof text, uid == 0 ? "0 1879048192 65536" : "0 %d 1", uid);
		put(path, text);
		snprintf(path, sizeof path, "/proc/%d/gid_map", parent);
		snprintf(text, sizeof text, uid == 0 ? "0 1879048192 65536" : "0 %d 1", gid);
		put(path, text);
		CHECK(write(mapped[1], &byte, 1));
		_exit(0);
	}
	CHECK(unshare(CLONE_NEWUSER | CLONE_NEWNS));
	CHECK(write(ready[1], &byte, 1));
	CHECK(read(mapped[0], &byte, 1));
	CHECK(waitpid(helper, 0, 0));
	CHECK(setresgid(0, 0, 0));
	CHECK(setresuid(0, 0, 0));
	CHECK(mount("", "/", 0, MS_PRIVATE | MS_REC, 0));
}

int main(int argc, char **argv)
{
	if (argc < 6) {
		fprintf(stderr, "usage: minimal ROOT WORK FILTER RUNS PROGRAM [ARGUMENT..]\n");
		return 2;
	}
	const char *lower = argv[1];
	static struct sock_filter instructions[4096];
	int fd = CHECK(open(argv[3], O_RDONLY | O_CLOEXEC));
	size_t bytes = CHECK(read(fd, instructions, sizeof instructions));
	close(fd);
	struct sock_fprog filter = { .len = bytes / sizeof *instructions, .filter = instructions };
	int runs = atoi(argv[4]);

	CHECK(chdir(argv[2]));
	namespaces();
	attach(fs("tmpfs", (const char *const[][2]){ { "mode", "0755" }, { 0 } }), argv[2]);
	CHECK(chdir(argv[2]));
	CHECK(mkdir("upper", 0700));
	CHECK(mkdir("root", 0700));
	CHECK(mkdir("empty", 0555));
	attach(fs("tmpfs", (const char *const[][2]){ { "mode", "0555" }, { "size", "4k" }, { 0 } }), "empty");

	for (int run = 0; run < runs; run++) {
		struct timespec from, to;
		clock_gettime(CLOCK_MONOTONIC, &from);
		int pidfd = -1;
		struct clone_args_ args = {
			.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC |
				 CLONE_NEWCGROUP | CLONE_PIDFD,
			.pidfd = (uint64_t)(uintptr_t)&pidfd,
			.exit_signal = SIGCHLD,
		};
		pid_t pid = CHECK(syscall(SYS_clone3, &args, sizeof args));
		if (pid == 0)
			container(lower, &filter, argv + 5);
		int status;
		CHECK(waitpid(pid, &status, 0));
		clock_gettime(CLOCK_MONOTONIC, &to);
		close(pidfd);
		if (status != 0) {
			fprintf(stderr, "minimal: the command ended with %#x\n", status);
			return 1;
		}
		printf("%lld\n", (to.tv_sec - from.tv_sec) * 1000000000LL + to.tv_nsec - from.tv_nsec);
	}
	return 0;
}
