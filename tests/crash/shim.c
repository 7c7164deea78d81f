/* Stands between one process and the kernel: every system call that changes files goes through `on_call`.
 *
 * A seccomp filter traps the calls, whichever library makes them: tantivy renames without libc, which LD_PRELOAD would
 * not see. The handler makes the call itself, from one instruction that the filter lets through. It can count calls
 * below a folder, end the process at the n-th, let the n-th fail, or write them all down with their data.
 * x86-64 Linux only. The filter stays for the life of the process and of its children.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

enum { OFF, KILL, FAIL };                                        /* what to do at the n-th call */
enum { WRITE = 1, SYNC = 2, MAKE = 4, NAME = 8, OPEN = 16 };     /* kinds of calls, as bits */
enum { TORN = 1, STAYS = 2, NO_FILE_SYNC = 4, NO_FOLDER_SYNC = 8 }; /* flags */

static struct {
    char root[1024], part[64];
    size_t length;
    int mode, kinds, error, flags, trace;
    long at, count;
    int fired;
} now = {.trace = -1};

static volatile int busy; /* one call at a time, so that the trace is in the order of what happened */

__asm__(".globl shim_call\n"
        "shim_call:\n"
        "  mov %rdi, %rax\n"
        "  mov %rsi, %rdi\n"
        "  mov %rdx, %rsi\n"
        "  mov %rcx, %rdx\n"
        "  mov %r8, %r10\n"
        "  mov %r9, %r8\n"
        "  mov 8(%rsp), %r9\n"
        "  syscall\n"
        ".globl shim_called\n"
        "shim_called:\n"
        "  ret\n");
long shim_call(long number, long a, long b, long c, long d, long e, long f);
extern char shim_called[];
#define CALL4(n, a, b, c, d) shim_call(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define CALL(n, a, b, c) CALL4(n, a, b, c, 0)

static void lock(void) { while (__sync_lock_test_and_set(&busy, 1)) CALL(SYS_sched_yield, 0, 0, 0); }
static void unlock(void) { __sync_lock_release(&busy); }

static int below(const char *path) {
    return now.length && !strncmp(path, now.root, now.length) && (path[now.length] == '/' || !path[now.length]);
}

/* The path that a descriptor stands for; empty where it is no file. */
static void path_of(long fd, char *path, size_t size) {
    char link[40] = "/proc/self/fd/", digits[16];
    int n = 0, at = 14;
    path[0] = 0;
    if (fd < 0) return;
    do digits[n++] = '0' + fd % 10; while (fd /= 10);
    while (n) link[at++] = digits[--n];
    link[at] = 0;
    long got = CALL(SYS_readlink, link, path, size - 1);
    path[got > 0 ? got : 0] = 0;
}

static void absolute(long folder, const char *name, char *path, size_t size) {
    if (name[0] == '/') { strncpy(path, name, size - 1); path[size - 1] = 0; return; }
    if (folder == AT_FDCWD) { if (CALL(SYS_getcwd, path, size, 0) < 0) path[0] = 0; }
    else path_of(folder, path, size);
    size_t length = strlen(path);
    if (length + strlen(name) + 2 < size) { path[length] = '/'; strcpy(path + length + 1, name); }
}

static uint64_t inode(long fd) {
    struct stat about;
    return CALL(SYS_fstat, fd, &about, 0) ? 0 : about.st_ino;
}

/* One record: operation, lengths of two paths, inode, offset, length of the data; then paths and data. */
static void note(char operation, const char *path, const char *other, uint64_t number, uint64_t offset,
                 const struct iovec *parts, int n, uint64_t length) {
    struct { char operation; uint16_t path, other; uint64_t number, offset, length; } __attribute__((packed)) head;
    if (now.trace < 0) return;
    head.operation = operation;
    head.path = strlen(path);
    head.other = strlen(other);
    head.number = number;
    head.offset = offset;
    head.length = length;
    CALL(SYS_write, now.trace, &head, sizeof head);
    CALL(SYS_write, now.trace, path, head.path);
    CALL(SYS_write, now.trace, other, head.other);
    for (int i = 0; i < n && length; i++) {
        uint64_t part = parts[i].iov_len < length ? parts[i].iov_len : length;
        CALL(SYS_write, now.trace, parts[i].iov_base, part);
        length -= part;
    }
}

/* What is written of the n-th write before the end, or before the error: the first half of its first part. */
static void half(long fd, const struct iovec *parts, int n, uint64_t offset) {
    if (!(now.flags & TORN) || n < 1 || parts[0].iov_len < 2) return;
    long done = CALL4(SYS_pwrite64, fd, parts[0].iov_base, parts[0].iov_len / 2, offset);
    if (done > 0) { char path[1024]; path_of(fd, path, sizeof path); note('W', path, "", inode(fd), offset, parts, 1, done); }
}

/* Whether this call, which changes something, is to fail; the process may end here. */
static int falls(int kind, const char *path, long fd, const struct iovec *parts, int n, uint64_t offset) {
    if (!(kind & now.kinds) || !strstr(path, now.part)) return 0;
    long count = ++now.count;
    if (now.mode == OFF) return 0;
    if (count != now.at && !(now.mode == FAIL && now.flags & STAYS && count > now.at)) return 0;
    now.fired++;
    half(fd, parts, n, offset);
    if (now.mode == KILL) CALL(SYS_kill, CALL(SYS_getpid, 0, 0, 0), SIGKILL, 0);
    return 1;
}

static long writes(long number, const long *a) {
    char path[1024];
    struct iovec one = {(void *)a[1], (size_t)a[2]};
    const struct iovec *parts = number == SYS_write || number == SYS_pwrite64 ? &one : (const struct iovec *)a[1];
    int n = parts == &one ? 1 : (int)a[2];
    path_of(a[0], path, sizeof path);
    if (!below(path)) return shim_call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    uint64_t offset = number == SYS_pwrite64 || number == SYS_pwritev || number == SYS_pwritev2 ? (uint64_t)a[3] : 0;
    if (number == SYS_write || number == SYS_writev) {
        struct stat about;
        int append = CALL(SYS_fcntl, a[0], F_GETFL, 0) & O_APPEND && !CALL(SYS_fstat, a[0], &about, 0);
        offset = append ? (uint64_t)about.st_size : (uint64_t)CALL(SYS_lseek, a[0], 0, SEEK_CUR);
    }
    if (falls(WRITE, path, a[0], parts, n, offset)) return -now.error;
    long done = shim_call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (done > 0) note('W', path, "", inode(a[0]), offset, parts, n, done);
    return done;
}

static long syncs(long number, const long *a) {
    char path[1024];
    struct stat about;
    path_of(a[0], path, sizeof path);
    if (!below(path) || CALL(SYS_fstat, a[0], &about, 0)) return CALL(number, a[0], 0, 0);
    int folder = S_ISDIR(about.st_mode);
    if (falls(SYNC, path, -1, 0, 0, 0)) { note('F', path, "", about.st_ino, 0, 0, 0, 0); return -now.error; }
    if (now.flags & (folder ? NO_FOLDER_SYNC : NO_FILE_SYNC)) return 0;
    long done = CALL(number, a[0], 0, 0);
    if (!done) note(folder ? 'D' : 'S', path, "", about.st_ino, 0, 0, 0, 0);
    return done;
}

static long opens(long number, const long *a) {
    char path[1024];
    int at = number == SYS_openat;
    long flags = at ? a[2] : number == SYS_creat ? O_CREAT | O_WRONLY | O_TRUNC : a[1];
    absolute(at ? a[0] : AT_FDCWD, (const char *)(at ? a[1] : a[0]), path, sizeof path);
    if (!below(path)) return shim_call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    int nameless = (flags & O_TMPFILE) == O_TMPFILE;
    int there = !CALL(SYS_access, path, F_OK, 0), made = nameless || (flags & O_CREAT && !there);
    if (falls(OPEN, path, -1, 0, 0, 0)) return -now.error;
    if ((made || flags & O_TRUNC) && falls(MAKE, path, -1, 0, 0, 0)) return -now.error;
    long fd = shim_call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (fd >= 0 && made) note(nameless ? 'O' : 'C', path, "", inode(fd), 0, 0, 0, 0);
    if (fd >= 0 && !made && flags & O_TRUNC) note('T', path, "", inode(fd), 0, 0, 0, 0);
    return fd;
}

static long names(long number, const long *a) {
    char path[1024], other[1024] = "";
    struct stat about;
    int at = number == SYS_renameat || number == SYS_renameat2 || number == SYS_linkat;
    int renames = at || number == SYS_rename || number == SYS_link;
    int from_folder = at || number == SYS_unlinkat || number == SYS_mkdirat;
    absolute(from_folder ? a[0] : AT_FDCWD, (const char *)(from_folder ? a[1] : a[0]), path, sizeof path);
    if (renames) absolute(at ? a[2] : AT_FDCWD, (const char *)(at ? a[3] : a[1]), other, sizeof other);
    if (!below(path) && !below(other)) return shim_call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (falls(NAME, below(path) ? path : other, -1, 0, 0, 0)) return -now.error;
    long done = shim_call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (done) return done;
    int makes = number == SYS_mkdir || number == SYS_mkdirat, links = number == SYS_link || number == SYS_linkat;
    char operation = links ? '?' : renames ? 'R' : makes ? 'M' : 'U';
    note(operation, path, other, makes && !CALL(SYS_stat, path, &about, 0) ? about.st_ino : 0, 0, 0, 0, 0);
    return 0;
}

static long others(long number, const long *a) { /* ftruncate, and what nothing here is known to use */
    char path[1024];
    if (number == SYS_truncate) absolute(AT_FDCWD, (const char *)a[0], path, sizeof path);
    else path_of(number == SYS_copy_file_range ? a[2] : a[0], path, sizeof path);
    if (!below(path)) return shim_call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (falls(MAKE, path, -1, 0, 0, 0)) return -now.error;
    long done = shim_call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (done >= 0) note(number == SYS_ftruncate ? 'T' : '?', path, "", number == SYS_ftruncate ? inode(a[0]) : 0,
                        number == SYS_ftruncate ? (uint64_t)a[1] : 0, 0, 0, 0);
    return done;
}

static const int trapped[] = {
    SYS_open, SYS_openat, SYS_creat, SYS_write, SYS_pwrite64, SYS_writev, SYS_pwritev, SYS_pwritev2, SYS_fsync,
    SYS_fdatasync, SYS_rename, SYS_renameat, SYS_renameat2, SYS_unlink, SYS_unlinkat, SYS_rmdir, SYS_mkdir,
    SYS_mkdirat, SYS_link, SYS_linkat, SYS_ftruncate, SYS_truncate, SYS_fallocate, SYS_copy_file_range, SYS_sendfile};
#define TRAPPED (int)(sizeof trapped / sizeof *trapped)

static void on_call(int signal, siginfo_t *about, void *context) {
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    long a[6] = {r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8], r[REG_R9]}, number = about->si_syscall;
    (void)signal;
    lock();
    switch (number) {
    case SYS_write: case SYS_pwrite64: case SYS_writev: case SYS_pwritev: case SYS_pwritev2:
        if (!now.length) break;
        r[REG_RAX] = writes(number, a); unlock(); return;
    case SYS_fsync: case SYS_fdatasync: r[REG_RAX] = syncs(number, a); unlock(); return;
    case SYS_open: case SYS_openat: case SYS_creat: r[REG_RAX] = opens(number, a); unlock(); return;
    case SYS_ftruncate: case SYS_truncate: case SYS_fallocate: case SYS_copy_file_range: case SYS_sendfile:
        r[REG_RAX] = others(number, a); unlock(); return;
    default: r[REG_RAX] = names(number, a); unlock(); return;
    }
    unlock(); /* a write to a pipe may block: others must be able to go on meanwhile */
    r[REG_RAX] = shim_call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* Trap the calls from now on, in this process and its children. 0, or the error. Call it before there are threads. */
int shim_install(void) {
    mallopt(M_ARENA_MAX, 1); /* a second arena opens a file of /proc when its thread ends, with signals blocked: fatal */
    uint64_t address = (uint64_t)shim_called;
    struct sock_filter filter[TRAPPED + 11] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)address, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(address >> 32), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    };
    int n = 9;
    for (int i = 0; i < TRAPPED; i++)
        filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, trapped[i], TRAPPED - i, 0);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
    struct sock_fprog program = {n, filter};
    struct sigaction action = {.sa_sigaction = on_call, .sa_flags = SA_SIGINFO | SA_NODEFER};
    if (sigaction(SIGSYS, &action, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return errno;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) ? errno : 0;
}

/* What to do with calls on `root` and below; those count whose path has `part` in it. An empty root is none. */
void shim_arm(const char *root, const char *part, int mode, long at, int kinds, int error, int flags, int trace) {
    lock();
    strncpy(now.root, root, sizeof now.root - 1);
    strncpy(now.part, part, sizeof now.part - 1);
    now.length = strlen(now.root);
    now.mode = mode;
    now.at = at;
    now.kinds = kinds;
    now.error = error;
    now.flags = flags;
    now.trace = trace;
    now.count = now.fired = 0;
    unlock();
}

long shim_count(void) { return now.count; } /* calls of the armed kinds since */
int shim_fired(void) { return now.fired; }  /* how many of them failed */

/* Put a number of the caller's own into the trace. */
void shim_note(long number) {
    lock();
    note('N', "", "", (uint64_t)number, 0, 0, 0, 0);
    unlock();
}
