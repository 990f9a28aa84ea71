/* SPDX-License-Identifier: GPL-2.0-or-later */
/* faults REPORT SECONDS WHO CALLS WHEN WHAT COMMAND...: runs postern as a tracer and makes one of its system calls go
 * wrong. For tests/harness/faults.py, which also reads the report.
 *
 *   WHO    monitor, gate, start1 (the first handler's process between vfork and exec), start2 ...; or all
 *   CALLS  names, with commas between them; * for any call (which is counted as one kind then)
 *   WHEN   1, 2 ...: that call of its name, counted from the beginning of main(); odd: each second one; 0: never;
 *          10+: all of them, as soon as the process has made so many calls of any name
 *   WHAT   an errno instead of the call; +errno: after it has been made; kill: SIGKILL before it
 *
 * strace --inject comes near, but can't tell the processes apart, and puts call number -1 in place of the one that fails,
 * which a seccomp filter takes for an attack. Here it is close(-1), which the jail allows. */

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h" /* made by the compiler: the name of each system call at its number */

#define PROCESSES 32
#define CALLS 512
#define OPTIONS                                                                                    \
    (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |      \
     PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL)

#if defined(__x86_64__)
typedef struct user_regs_struct registers;
#define FIRST_ARGUMENT rdi
#elif defined(__aarch64__)
typedef struct user_regs_struct registers;
#define FIRST_ARGUMENT regs[0]
#else
#error "how a system call is changed must be said for this architecture"
#endif

struct process {
    pid_t pid;
    char who[16];
    bool begun;   /* main() has been reached */
    bool inside;  /* a call */
    bool failing; /* ... which is being replaced */
    long call;
    registers before;
    unsigned counts[CALLS];
    unsigned all;
};

static struct process table[PROCESSES];
static FILE *report;
static const char *who, *calls, *when, *what;
static unsigned starts;
static volatile sig_atomic_t late;

static void on_alarm(int number)
{
    (void)number;
    late = 1;
}

static void die(const char *why)
{
    perror(why);
    exit(99);
}

static struct process *find(pid_t pid)
{
    for (size_t i = 0; i < PROCESSES; i++)
        if (table[i].pid == pid)
            return &table[i];
    return NULL;
}

static struct process *add(pid_t pid, const char *name)
{
    struct process *p = find(0);

    if (p == NULL)
        die("too many processes");
    memset(p, 0, sizeof *p);
    p->pid = pid;
    (void)snprintf(p->who, sizeof p->who, "%s", name);
    return p;
}

static const char *name_of(long call)
{
    bool known = call >= 0 && (size_t)call < sizeof call_names / sizeof call_names[0];

    return known && call_names[call] != NULL ? call_names[call] : "unknown";
}

static bool listed(const char *name)
{
    size_t len = strlen(name);

    for (const char *p = calls; *p != '\0'; p += strcspn(p, ","), p += *p == ',')
        if (strncmp(p, name, len) == 0 && (p[len] == ',' || p[len] == '\0'))
            return true;
    return false;
}

static void get_registers(const struct process *p, registers *r)
{
    struct iovec v = {r, sizeof *r};

    (void)ptrace(PTRACE_GETREGSET, p->pid, NT_PRSTATUS, &v);
}

static void set_registers(const struct process *p, registers *r)
{
    struct iovec v = {r, sizeof *r};

    (void)ptrace(PTRACE_SETREGSET, p->pid, NT_PRSTATUS, &v);
}

/* SOCK_DGRAM and the like, of a socket on this machine that /proc/PID/fd names so; 0 for what is none. */
static unsigned unix_kind(const char *name)
{
    char line[400];
    unsigned long inode, wanted;
    unsigned kind, found = 0;

    if (sscanf(name, "socket:[%lu]", &wanted) != 1)
        return 0;
    FILE *file = fopen("/proc/net/unix", "r");
    while (file != NULL && found == 0 && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "%*s %*s %*s %*s %x %*s %lu", &kind, &inode) == 2 && inode == wanted)
            found = kind;
    if (file != NULL)
        (void)fclose(file);
    return found;
}

static void name_descriptor(const struct process *p, int fd, char *target, size_t size)
{
    char path[40];

    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", p->pid, fd);
    ssize_t n = readlink(path, target, size - 1);
    target[n > 0 ? n : 0] = '\0';
}

/* Monitor and gate send each other messages with sendmsg or, where no descriptors come along, with sendto: both count as the
 * first, since what can go wrong is the same. */
static long kind_of_call(const struct process *p, long call)
{
    char target[300];
    registers r;

    if (call != SYS_sendto && call != SYS_recvfrom)
        return call;
    get_registers(p, &r);
    name_descriptor(p, (int)r.FIRST_ARGUMENT, target, sizeof target);
    if (unix_kind(target) != SOCK_SEQPACKET)
        return call;
    return call == SYS_sendto ? SYS_sendmsg : SYS_recvmsg;
}

/* A signal may cut nearly every call short, but not this one (see random(4)), and TLS libraries rely on it. */
static bool reads_randomness(const struct process *p)
{
    char target[300];
    registers r;

    get_registers(p, &r);
    name_descriptor(p, (int)r.FIRST_ARGUMENT, target, sizeof target);
    return p->call == SYS_read && strcmp(target, "/dev/urandom") == 0;
}

static bool is_due(const struct process *p)
{
    bool any = strcmp(calls, "*") == 0;
    unsigned count = any ? p->all : p->counts[p->call];

    if (strcmp(who, "all") != 0 && strcmp(who, p->who) != 0)
        return false;
    if (!any && !listed(name_of(p->call)))
        return false;
    if (strcmp(when, "odd") == 0)
        return count % 2 == 1 && !reads_randomness(p);
    if (when[strlen(when) - 1] == '+')
        return p->all >= (unsigned)atoi(when);
    return count == (unsigned)atoi(when);
}

/* Makes the call that is about to begin a close(-1). brk, which has no errno, becomes one that asks where the end is:
 * that is how it tells that it has failed. */
static void replace_call(struct process *p)
{
    registers r;

    get_registers(p, &p->before);
    r = p->before;
    r.FIRST_ARGUMENT = p->call == SYS_brk ? 0 : (unsigned long)-1;
#if defined(__x86_64__)
    r.orig_rax = p->call == SYS_brk ? SYS_brk : SYS_close;
    set_registers(p, &r);
#else
    int call = p->call == SYS_brk ? SYS_brk : SYS_close;
    struct iovec v = {&call, sizeof call};
    set_registers(p, &r);
    (void)ptrace(PTRACE_SETREGSET, p->pid, NT_ARM_SYSTEM_CALL, &v);
#endif
}

static void set_result(struct process *p, int error)
{
    registers r;

    get_registers(p, &r);
#if defined(__x86_64__)
    r.rdi = *what == '+' ? r.rdi : p->before.rdi;
    r.rax = p->call == SYS_brk ? r.rax : (unsigned long)-error;
#else
    r.regs[0] = p->call == SYS_brk ? r.regs[0] : (unsigned long)-error;
#endif
    set_registers(p, &r);
}

static void begin_call(struct process *p, long call)
{
    p->call = call >= 0 && call < CALLS ? kind_of_call(p, call) : 0;
    /* What comes before main() is the dynamic linker's. */
    p->begun = p->begun || call == SYS_fcntl;
    if (!p->begun)
        return;
    p->counts[p->call]++;
    p->all++;
    if (!is_due(p))
        return;
    fprintf(report, "hit %s %s %u\n", p->who, name_of(p->call), p->counts[p->call]);
    if (strcmp(what, "kill") == 0) {
        (void)kill(p->pid, SIGKILL);
        return;
    }
    p->failing = true;
    if (*what != '+')
        replace_call(p);
}

static void end_call(struct process *p)
{
    if (p->failing)
        set_result(p, atoi(*what == '+' ? what + 1 : what));
    p->failing = false;
}

static void on_call(struct process *p)
{
    struct __ptrace_syscall_info info;

    if (ptrace(PTRACE_GET_SYSCALL_INFO, p->pid, sizeof info, &info) < 0)
        return;
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        p->inside = true;
        begin_call(p, (long)info.entry.nr);
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
        p->inside = false;
        end_call(p);
    }
}

static void on_child(struct process *parent, int event)
{
    unsigned long pid = 0;
    char name[16] = "gate";

    (void)ptrace(PTRACE_GETEVENTMSG, parent->pid, 0, &pid);
    if (event == PTRACE_EVENT_VFORK)
        (void)snprintf(name, sizeof name, "start%u", ++starts);
    struct process *p = find((pid_t)pid);
    bool stopped = p != NULL;
    if (p == NULL)
        p = add((pid_t)pid, name);
    (void)snprintf(p->who, sizeof p->who, "%s", name);
    p->begun = true;
    if (stopped)
        (void)ptrace(PTRACE_SYSCALL, p->pid, 0, 0);
}

/* The descriptors that a process holds in the end. */
static void list_descriptors(const struct process *p)
{
    char path[40], target[300];
    struct dirent *entry;

    (void)snprintf(path, sizeof path, "/proc/%d/fd", p->pid);
    DIR *folder = opendir(path);
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (*entry->d_name == '.')
            continue;
        name_descriptor(p, atoi(entry->d_name), target, sizeof target);
        if (*target == '\0')
            continue;
        fprintf(report, "fd %s %s %s\n", p->who, entry->d_name,
                unix_kind(target) == SOCK_DGRAM ? "syslog" : target);
    }
    if (folder != NULL)
        (void)closedir(folder);
}

static void on_end(struct process *p, int status)
{
    for (long i = 0; i < CALLS; i++)
        if (p->counts[i] > 0)
            fprintf(report, "calls %s %s %u\n", p->who, name_of(i), p->counts[i]);
    fprintf(report, "calls %s * %u\n", p->who, p->all);
    if (WIFSIGNALED(status))
        fprintf(report, "end %s signal %d\n", p->who, WTERMSIG(status));
    else
        fprintf(report, "end %s exit %d\n", p->who, WEXITSTATUS(status));
    p->pid = 0;
}

static void on_stop(struct process *p, int status)
{
    int number = WSTOPSIG(status), event = status >> 16, pass = 0;

    if (number == (SIGTRAP | 0x80)) {
        on_call(p);
    } else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK ||
               event == PTRACE_EVENT_CLONE) {
        on_child(p, event);
    } else if (event == PTRACE_EVENT_EXIT && strncmp(p->who, "start", 5) != 0) {
        list_descriptors(p);
    } else if (event == PTRACE_EVENT_EXEC && strncmp(p->who, "start", 5) == 0) {
        fprintf(report, "exec %s\n", p->who);
        list_descriptors(p);
        on_end(p, 0);
        p->pid = 0;
        return;
    } else if (event == 0 && !(number == SIGSTOP && p->all == 0)) {
        pass = number;
    }
    (void)ptrace(PTRACE_SYSCALL, p->pid, 0, pass);
}

static bool any_left(void)
{
    for (size_t i = 0; i < PROCESSES; i++)
        if (table[i].pid != 0)
            return true;
    return false;
}

static void tell_hang(void)
{
    for (size_t i = 0; i < PROCESSES; i++)
        if (table[i].pid != 0) {
            fprintf(report, "hang %s %s\n", table[i].who, name_of(table[i].call));
            (void)kill(table[i].pid, SIGKILL);
        }
    exit(98);
}

int main(int argc, char **argv)
{
    struct sigaction on_time = {.sa_handler = on_alarm};
    int status = 0, result = 99;

    if (argc < 8)
        return 64;
    report = fopen(argv[1], "we");
    if (report == NULL)
        die(argv[1]);
    setlinebuf(report);
    who = argv[3];
    calls = argv[4];
    when = argv[5];
    what = argv[6];
    pid_t monitor = fork();
    if (monitor == 0) {
        (void)ptrace(PTRACE_TRACEME, 0, 0, 0);
        (void)raise(SIGSTOP);
        (void)execv(argv[7], argv + 7);
        die(argv[7]);
    }
    /* The connection is theirs alone. */
    (void)close(0);
    (void)close(1);
    (void)sigaction(SIGALRM, &on_time, NULL);
    (void)alarm((unsigned)atoi(argv[2]));
    if (waitpid(monitor, &status, 0) != monitor ||
        ptrace(PTRACE_SETOPTIONS, monitor, 0, OPTIONS) < 0)
        die("ptrace");
    (void)add(monitor, "monitor");
    (void)ptrace(PTRACE_SYSCALL, monitor, 0, 0);
    while (any_left()) {
        pid_t pid = waitpid(-1, &status, __WALL);
        if (late)
            tell_hang();
        if (pid < 0)
            die("waitpid");
        struct process *p = find(pid);
        if (p == NULL && WIFSTOPPED(status)) {
            p = add(pid, ""); /* resumed when its parent's event says what it is */
            continue;
        }
        if (p == NULL)
            continue;
        if (WIFSTOPPED(status)) {
            struct process copy = *p;
            on_stop(p, status);
            if (strncmp(copy.who, "start", 5) == 0 && p->pid == 0)
                (void)ptrace(PTRACE_DETACH, copy.pid, 0, 0);
        } else {
            if (pid == monitor)
                result = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
            on_end(p, status);
        }
    }
    return result;
}
