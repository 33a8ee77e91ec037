/* What no shell can say: system calls by their number, as an attacker inside a container makes them. Each attack prints
 * `breached NAME` when it got what it wanted, and `NAME: why not` when it did not; it never fails. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static int tell(const char *name, long result)
{
	if (result >= 0)
		printf("breached %s\n", name);
	else
		printf("%s: %s\n", name, strerrorname_np(errno));
	fflush(stdout);
	return 0;
}

static long io_uring(void)
{
	char parameters[120] = {0};
	return syscall(SYS_io_uring_setup, 1, parameters);
}

/* UFFD_USER_MODE_ONLY: what an unprivileged process may ask for. */
static long userfaultfd(void) { return syscall(SYS_userfaultfd, 1); }

static long keyring(void) { return syscall(SYS_keyctl, 0 /* GET_KEYRING_ID */, -3 /* session */, 1); }

static long add_key(void) { return syscall(SYS_add_key, "user", "attack", "x", 1, -2 /* process */); }

static long vsock(void) { return socket(40, SOCK_STREAM, 0); }

static long alg(void) { return socket(38, SOCK_SEQPACKET, 0); }

static long user_namespace(void) { return unshare(CLONE_NEWUSER); }

static long mount_namespace(void) { return unshare(CLONE_NEWNS); }

static long in_child(long pid)
{
	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return pid;
}

static long clone_namespace(void) { return in_child(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)); }

/* The flags are compared whole: bits that the kernel drops must not hide the one that it takes. */
static long clone_high_bits(void)
{
	return in_child(syscall(SYS_clone, (1UL << 40) | CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
}

static long clone3_namespace(void)
{
	struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	return in_child(syscall(SYS_clone3, &args, sizeof args));
}

static long new_mount(void) { return syscall(SYS_fsopen, "tmpfs", 0); }

static long old_mount(void) { return mount("none", "/tmp", "tmpfs", 0, ""); }

static long unmount(void) { return umount2("/sys", MNT_DETACH); }

static long remount(void) { return mount("none", "/proc/sys", "", MS_REMOUNT | MS_BIND, ""); }

static long host_name(void) { return sethostname("taken", 5); }

static long enter_namespace(void)
{
	int fd = open("/proc/self/ns/uts", O_RDONLY);
	return setns(fd, 0);
}

static long raw_socket(void) { return socket(AF_INET, SOCK_RAW, 1); }

static long interface_down(void)
{
	char request[40] = "lo"; /* struct ifreq, with no flags */
	return ioctl(socket(AF_INET, SOCK_DGRAM, 0), 0x8914 /* SIOCSIFFLAGS */, request);
}

static long no_randomisation(void) { return personality(ADDR_NO_RANDOMIZE); }

/* A terminal of our own: what is typed into it is read by nobody else, but the kernel lets us. */
static long typing_with(unsigned long request)
{
	int ours = posix_openpt(O_RDWR | O_NOCTTY);
	if (ours < 0 || grantpt(ours) || unlockpt(ours))
		return -1;
	pid_t child = fork();
	if (child == 0) {
		setsid();
		int theirs = open(ptsname(ours), O_RDWR);
		ioctl(theirs, TIOCSCTTY, 0);
		char key = 'x';
		_exit(syscall(SYS_ioctl, theirs, request, &key) < 0 ? errno : 0);
	}
	int status = 0;
	waitpid(child, &status, 0);
	errno = WEXITSTATUS(status);
	return errno ? -1 : 0;
}

static long typing(void) { return typing_with(TIOCSTI); }

/* The kernel reads the request as an unsigned int. */
static long typing_high_bits(void) { return typing_with(TIOCSTI | (1UL << 32)); }

/* getpid by the table of i386. A filter that only knows numbers would take it for write. */
static long i386(void)
{
#ifdef __x86_64__
	pid_t child = fork();
	if (child == 0) {
		long result;
		__asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory");
		_exit(result == getpid() ? 0 : 1);
	}
	int status = 0;
	waitpid(child, &status, 0);
	errno = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? EPERM : ENOSYS;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
#else
	errno = ENOSYS;
	return -1;
#endif
}

static long trace_init(void) { return ptrace(PTRACE_SEIZE, 1, 0, 0); }

static long take_from_init(void)
{
	int init = syscall(SYS_pidfd_open, 1, 0);
	return syscall(SYS_pidfd_getfd, init, 0, 0);
}

static long memory_of_init(void) { return open("/proc/1/mem", O_RDWR); }

static long by_handle(void)
{
	struct { struct file_handle head; unsigned char bytes[128]; } handle = {.head = {.handle_bytes = 128}};
	int mount;
	if (name_to_handle_at(AT_FDCWD, "/tmp", &handle.head, &mount, 0))
		return -1;
	int root = open("/", O_RDONLY);
	return open_by_handle_at(root, &handle.head, O_RDONLY);
}

/* A block device of the machine's. */
static long device(void) { return mknod("/tmp/device", S_IFBLK | 0600, 0xfe00); }

static long kernel_log(void) { return syscall(SYS_syslog, 3, NULL, 0); }

static long message_queues(void)
{
	struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 8};
	return mq_open("/attack", O_CREAT | O_RDWR, 0600, &attributes);
}

static const struct attack { const char *name; long (*run)(void); } attacks[] = {
	{"io_uring", io_uring}, {"userfaultfd", userfaultfd}, {"keyctl", keyring}, {"add_key", add_key},
	{"AF_VSOCK", vsock}, {"AF_ALG", alg}, {"unshare_user", user_namespace}, {"unshare_mount", mount_namespace},
	{"clone_user", clone_namespace}, {"clone_high_bits", clone_high_bits}, {"clone3_user", clone3_namespace},
	{"fsopen", new_mount}, {"mount", old_mount}, {"umount", unmount}, {"remount", remount},
	{"sethostname", host_name}, {"setns", enter_namespace}, {"raw_socket", raw_socket},
	{"interface_down", interface_down}, {"personality", no_randomisation},
	{"TIOCSTI", typing}, {"TIOCSTI_high_bits", typing_high_bits}, {"i386", i386}, {"ptrace_init", trace_init},
	{"pidfd_getfd", take_from_init}, {"mem_of_init", memory_of_init},
	{"open_by_handle", by_handle}, {"mknod", device}, {"syslog", kernel_log}, {"mqueue", message_queues},
};

/* A key that only whoever has this session keyring can read; then the rest of the arguments runs with it. */
static int with_key(char **command)
{
	syscall(SYS_keyctl, 1 /* JOIN_SESSION_KEYRING */, "attack");
	if (syscall(SYS_add_key, "user", "slipway-attack", "of the caller", 13, -3) < 0)
		return perror("add_key"), 1;
	execv(command[0], command);
	return perror(command[0]), 1;
}

static long caller_key(void)
{
	char content[32];
	long key = syscall(SYS_keyctl, 10 /* SEARCH */, -3, "user", "slipway-attack", 0);
	return key < 0 ? key : syscall(SYS_keyctl, 11 /* READ */, key, content, sizeof content);
}

static long abstract_socket(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strncpy(address.sun_path + 1, name, sizeof address.sun_path - 2);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	return connect(fd, (struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}

/* Of a program with the set-user-id bit, executed by somebody else. */
static long privilege(void)
{
	errno = EPERM;
	return geteuid() == 0 && getuid() != 0 ? 0 : -1;
}

/* Puts such a program at `path` and becomes somebody else who executes it. */
static int set_user_id(const char *path)
{
	char copy[4096];
	snprintf(copy, sizeof copy, "cp /workspace/attack %s && chmod 4755 %s", path, path);
	if (path[0] == '/' && access(path, X_OK) && system(copy))
		return 1;
	if (setgid(1000) || setuid(1000))
		return perror("setuid"), 1;
	execl(path, path, "privilege", NULL);
	return perror(path), 1;
}

/* Swaps two entries of a directory until it is killed. */
static int swap(const char *one, const char *other)
{
	while (!renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE))
		;
	return perror("renameat2"), 1;
}

int main(int count, char **arguments)
{
	if (count > 2 && !strcmp(arguments[1], "with-key"))
		return with_key(arguments + 2);
	if (count > 1 && !strcmp(arguments[1], "caller-key"))
		return tell("caller-key", caller_key());
	if (count > 1 && !strcmp(arguments[1], "privilege"))
		return tell("privilege", privilege());
	if (count > 2 && !strcmp(arguments[1], "set-user-id"))
		return set_user_id(arguments[2]);
	if (count > 3 && !strcmp(arguments[1], "swap"))
		return swap(arguments[2], arguments[3]);
	if (count > 2 && !strcmp(arguments[1], "abstract"))
		return tell("abstract", abstract_socket(arguments[2]));
	for (int i = 1; i < count; i++) {
		size_t at = 0;
		while (at < sizeof attacks / sizeof *attacks && strcmp(attacks[at].name, arguments[i]))
			at++;
		if (at == sizeof attacks / sizeof *attacks)
			return fprintf(stderr, "no attack %s\n", arguments[i]), 2;
		fflush(stdout);
		/* In a child of its own: it may leave us in another namespace, or die. */
		pid_t child = fork();
		if (child == 0) {
			tell(attacks[at].name, attacks[at].run());
			_exit(0);
		}
		int status;
		waitpid(child, &status, 0);
		if (WIFSIGNALED(status))
			printf("%s: signal %d\n", arguments[i], WTERMSIG(status));
	}
	return 0;
}
