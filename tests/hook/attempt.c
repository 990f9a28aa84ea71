/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "attempt.h"

#include "common/facts.h"
#include "common/message.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char wanted[32];

#define PAGE 4096

static void *page;

/* Lets the access go on that has failed: that is what a signal handler returns for. */
static void repair(int number)
{
    (void)number;
    (void)mprotect(page, PAGE, PROT_READ | PROT_WRITE);
}

void attempt_remember(void)
{
    const char *name = getenv("ATTEMPT");
    const struct sigaction action = {.sa_handler = repair};

    if (name != NULL)
        (void)snprintf(wanted, sizeof wanted, "%s", name);
    if (strcmp(wanted, "sigreturn") != 0)
        return;
    page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)sigaction(SIGSEGV, &action, NULL);
}

/* Each attempt returns what its system call did: -1 and errno is what we want to see. */

static int open_file(int vault)
{
    (void)vault;
    return open("/etc/passwd", O_RDONLY);
}

static int make_file(int vault)
{
    (void)vault;
    return open("/created-by-the-gate", O_WRONLY | O_CREAT, 0600);
}

static int make_socket(int vault)
{
    (void)vault;
    return socket(AF_INET, SOCK_STREAM, 0);
}

static int connect_out(int vault)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};

    (void)vault;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&to, sizeof to);
}

static int fork_child(int vault)
{
    (void)vault;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    return child;
}

static int exec_shell(int vault)
{
    char *const argv[] = {(char *)"/bin/true", NULL};

    (void)vault;
    return execve(argv[0], argv, NULL);
}

static int trace_monitor(int vault)
{
    (void)vault;
    return (int)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static int read_monitor(int vault)
{
    char byte;
    struct iovec here = {&byte, 1}, there = {(void *)0x400000, 1};

    (void)vault;
    return (int)process_vm_readv(getppid(), &here, 1, &there, 1, 0);
}

static int signal_monitor(int vault)
{
    (void)vault;
    return kill(getppid(), SIGKILL);
}

static int become_root(int vault)
{
    (void)vault;
    return setuid(0);
}

static int mount_something(int vault)
{
    (void)vault;
    return mount("none", "/", "tmpfs", 0, NULL);
}

static int run_code(int vault)
{
    (void)vault;
    void *code =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return code == MAP_FAILED ? -1 : 0;
}

static int map(int protection, int flags)
{
    return mmap(NULL, PAGE, protection, flags | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}

static int map_shared(int vault)
{
    (void)vault;
    return map(PROT_READ | PROT_WRITE, MAP_SHARED);
}

/* RLIMIT_DATA takes it for a stack. */
static int map_growing(int vault)
{
    (void)vault;
    return map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_GROWSDOWN);
}

/* RLIMIT_DATA does not count it, but reading it makes page tables. */
static int map_readable(int vault)
{
    (void)vault;
    return map(PROT_READ, MAP_PRIVATE);
}

static int protect(int protection)
{
    void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? -1 : mprotect(p, PAGE, protection);
}

static int make_executable(int vault)
{
    (void)vault;
    return protect(PROT_READ | PROT_EXEC);
}

/* What nobody may write to any more, RLIMIT_DATA has forgotten. */
static int hide_memory(int vault)
{
    (void)vault;
    return protect(PROT_NONE);
}

static int advise(int vault)
{
    void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)vault;
    return p == MAP_FAILED ? -1 : madvise(p, PAGE, MADV_DONTDUMP);
}

static int return_from_signal(int vault)
{
    (void)vault;
    *(volatile char *)page = 1;
    return 0;
}

static void make_note(struct message_writer *w, uint8_t *buf, size_t size)
{
    message_begin(w, buf, size, REPORT_NOTE);
    message_put_number(w, 1);
    message_put_text(w, "it got through");
}

static int send_descriptor(int vault)
{
    uint8_t buf[64];
    struct message_writer w;

    make_note(&w, buf, sizeof buf);
    return message_send(vault, &w, &vault, 1) == 0 ? 0 : -1;
}

/* One that leads nowhere: a connected socket passes over it. */
static int send_to_address(int vault)
{
    const struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "/nobody"};
    uint8_t buf[64];
    struct message_writer w;

    make_note(&w, buf, sizeof buf);
    return (int)sendto(vault, w.buf, w.len, MSG_NOSIGNAL, (const struct sockaddr *)&to, sizeof to);
}

/* More than any session has. */
static int take_memory(int vault)
{
    (void)vault;
    for (int i = 0; i < 64; i++) {
        void *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            return -1;
        memset(p, 1, 1 << 20);
    }
    return 0;
}

static int grow_heap(int vault)
{
    (void)vault;
    return sbrk(64 << 20) == (void *)-1 ? -1 : 0; /* NOLINT: the kernel's word for failure */
}

/* From here on: what is taken away when the relay begins. */

static int late_recvmsg(int vault)
{
    struct msghdr m = {.msg_iov = NULL};

    return recvmsg(vault, &m, MSG_DONTWAIT) < 0 && errno != EAGAIN ? -1 : 0;
}

/* A list that lets everything pass would change nothing; one that makes calls fail might. */
static int late_list(int vault)
{
    struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const struct sock_fprog program = {1, &all};

    (void)vault;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

/* From here on: lies to the monitor. Returns 0 if it answered, -1 if it ended the connection. */

static int send_and_hear(int vault, const struct message_writer *w)
{
    uint8_t buf[4096];
    struct message_reader r;

    if (message_send(vault, w, NULL, 0) < 0)
        return -1;
    int rc = message_receive(vault, &r, buf, sizeof buf, false);
    errno = rc < 0 ? -rc : 0;
    return rc < 0 ? -1 : 0;
}

static void ask_chain(struct message_writer *w, uint8_t *buf, size_t size)
{
    message_begin(w, buf, size, REQ_CHAIN);
    message_put_text(w, "");
    for (int i = 0; i < 4; i++)
        message_put_number(w, 1);
}

static int lie_garbage(int vault)
{
    uint8_t garbage[] = {0xff, 0xfe, 0, 1, 2, 3};
    struct message_writer w = {.buf = garbage, .size = sizeof garbage, .len = sizeof garbage};

    return send_and_hear(vault, &w);
}

static int lie_length(int vault)
{
    uint8_t buf[64];
    struct message_writer w;

    message_begin(&w, buf, sizeof buf, REQ_CHAIN);
    message_put_number(&w, UINT64_MAX);
    return send_and_hear(vault, &w);
}

static int lie_huge(int vault)
{
    static uint8_t buf[60000];
    struct message_writer w;

    message_begin(&w, buf, sizeof buf, REPORT_NOTE);
    w.len = sizeof buf;
    return send_and_hear(vault, &w);
}

static int sign(int vault, size_t hash_len)
{
    uint8_t buf[256], hash[64] = {1};
    struct message_writer w;

    message_begin(&w, buf, sizeof buf, REQ_SIGN);
    message_put_number(&w, 1); /* ECDSA */
    message_put_bytes(&w, hash, hash_len);
    return send_and_hear(vault, &w);
}

/* One signature is what a handshake needs; the second one must not be given. */
static int sign_twice(int vault)
{
    uint8_t buf[128];
    struct message_writer w;

    ask_chain(&w, buf, sizeof buf);
    if (send_and_hear(vault, &w) < 0 || sign(vault, 32) < 0) {
        errno = ENOENT; /* not even the first */
        return 1;
    }
    return sign(vault, 32);
}

static int sign_unasked(int vault)
{
    return sign(vault, 32);
}

static int sign_anything(int vault)
{
    uint8_t buf[128];
    struct message_writer w;

    ask_chain(&w, buf, sizeof buf);
    return send_and_hear(vault, &w) < 0 ? 1 : sign(vault, 33);
}

/* A handler without a handshake. */
static int facts_unasked(int vault)
{
    uint8_t buf[1024];
    struct message_writer w;
    const struct facts facts = {.version = "TLSv1.3"};

    message_begin(&w, buf, sizeof buf, REQ_SESSION);
    facts_put(&w, &facts);
    return send_and_hear(vault, &w);
}

/* Two clients for one connection; without --proxy-protocol not even one. */
static int proxy_twice(int vault)
{
    uint8_t buf[128], address[4] = {192, 0, 2, 7};
    struct message_writer w;

    message_begin(&w, buf, sizeof buf, REPORT_PROXY);
    for (int i = 0; i < 2; i++) {
        message_put_number(&w, 1); /* IPv4 */
        message_put_bytes(&w, address, sizeof address);
        message_put_number(&w, 143);
    }
    if (message_send(vault, &w, NULL, 0) < 0)
        return -1;
    return send_and_hear(vault, &w);
}

static int ask_ticket(int vault, enum message_type type)
{
    uint8_t buf[256], ticket[160] = {1};
    struct message_writer w;

    message_begin(&w, buf, sizeof buf, type);
    message_put_number(&w, 0x0304);
    message_put_bytes(&w, ticket, sizeof ticket);
    return send_and_hear(vault, &w);
}

static int seal_unasked(int vault)
{
    return ask_ticket(vault, REQ_SEAL);
}

/* As many tickets as a handshake needs, and one more. */
static int ask_too_many(int vault, enum message_type type, int enough)
{
    uint8_t buf[128];
    struct message_writer w;

    ask_chain(&w, buf, sizeof buf);
    for (int i = send_and_hear(vault, &w) < 0 ? -1 : 0; i < enough; i++) {
        if (i < 0 || ask_ticket(vault, type) < 0) {
            errno = ENOENT; /* not even these */
            return 1;
        }
    }
    return ask_ticket(vault, type);
}

static int seal_twice(int vault)
{
    return ask_too_many(vault, REQ_SEAL, 1);
}

static int open_thrice(int vault)
{
    return ask_too_many(vault, REQ_OPEN, 2);
}

/* A handler for a session that no ticket has begun. */
static int resume_nothing(int vault)
{
    uint8_t buf[1024];
    struct message_writer w;
    const struct facts facts = {.version = "TLSv1.3", .resumed = true};

    ask_chain(&w, buf, sizeof buf);
    if (send_and_hear(vault, &w) < 0 || ask_ticket(vault, REQ_OPEN) < 0) {
        errno = ENOENT;
        return 1;
    }
    message_begin(&w, buf, sizeof buf, REQ_SESSION);
    facts_put(&w, &facts);
    return send_and_hear(vault, &w);
}

static int flood_notes(int vault)
{
    uint8_t buf[64];
    struct message_writer w;

    for (int i = 0; i < 1000; i++) {
        message_begin(&w, buf, sizeof buf, REPORT_NOTE);
        message_put_number(&w, 1);
        message_put_text(&w, "flood");
        if (message_send(vault, &w, NULL, 0) < 0)
            return -1;
    }
    return send_and_hear(vault, &w);
}

static int step_unasked(int vault)
{
    uint8_t buf[64];
    struct message_writer w;

    message_begin(&w, buf, sizeof buf, REPORT_STEP);
    message_put_number(&w, 1);
    message_put_text(&w, "nobody has asked for this");
    return send_and_hear(vault, &w);
}

static int send_plain(int vault, enum message_type type)
{
    uint8_t buf[16];
    struct message_writer w;

    message_begin(&w, buf, sizeof buf, type);
    return send_and_hear(vault, &w);
}

/* Where TLS begins at once there is no lobby. */
static int left_unasked(int vault)
{
    return send_plain(vault, REPORT_LEFT_LOBBY);
}

static int plaintext_unasked(int vault)
{
    return send_plain(vault, REQ_PLAINTEXT_HANDLER);
}

static int stop_unasked(int vault)
{
    return send_plain(vault, REQ_STOP_HANDLER);
}

static const struct {
    const char *name;
    int (*try)(int vault);
} attempts[] = {
    {"open", open_file},
    {"create", make_file},
    {"socket", make_socket},
    {"connect", connect_out},
    {"fork", fork_child},
    {"exec", exec_shell},
    {"ptrace", trace_monitor},
    {"read-memory", read_monitor},
    {"signal", signal_monitor},
    {"setuid", become_root},
    {"mount", mount_something},
    {"mmap-exec", run_code},
    {"mmap-shared", map_shared},
    {"mmap-growing", map_growing},
    {"mmap-readable", map_readable},
    {"mprotect-exec", make_executable},
    {"mprotect-none", hide_memory},
    {"madvise", advise},
    {"sigreturn", return_from_signal},
    {"send-descriptor", send_descriptor},
    {"send-to-address", send_to_address},
    {"memory", take_memory},
    {"heap", grow_heap},
    {"late-recvmsg", late_recvmsg},
    {"late-list", late_list},
    {"lie-garbage", lie_garbage},
    {"lie-length", lie_length},
    {"lie-huge", lie_huge},
    {"sign-twice", sign_twice},
    {"sign-unasked", sign_unasked},
    {"sign-anything", sign_anything},
    {"facts-unasked", facts_unasked},
    {"proxy-twice", proxy_twice},
    {"seal-unasked", seal_unasked},
    {"seal-twice", seal_twice},
    {"open-thrice", open_thrice},
    {"resume-nothing", resume_nothing},
    {"flood-notes", flood_notes},
    {"step-unasked", step_unasked},
    {"left-unasked", left_unasked},
    {"plaintext-unasked", plaintext_unasked},
    {"stop-unasked", stop_unasked},
};

int attempt_run(int vault, bool late, char *report, unsigned size)
{
    if (late != (strncmp(wanted, "late-", 5) == 0))
        return 0;
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        if (strcmp(attempts[i].name, wanted) != 0)
            continue;
        errno = 0;
        int result = attempts[i].try(vault);
        (void)snprintf(report, size, "attempt %s: %s (%s)", wanted,
                       result == -1 ? "failed" : "SUCCEEDED", strerror(errno));
        return 1;
    }
    return 0;
}
