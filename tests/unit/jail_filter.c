/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of jail_filter.c: its programs are interpreted, and what they let pass is what the manual says. Run from the
 * top folder. */
#include "start/jail_filter.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/net.h>
#include <linux/seccomp.h>

#include <cmocka.h>

#define MANUAL "man/postern.8"
#define HIGHEST 600U /* no system call has a higher number, but those of x32 and ARM's own */
#define X32 0x40000000U

#if defined(__x86_64__)
#define OWN AUDIT_ARCH_X86_64
#elif defined(__i386__)
#define OWN AUDIT_ARCH_I386
#elif defined(__aarch64__)
#define OWN AUDIT_ARCH_AARCH64
#elif defined(__arm__)
#define OWN AUDIT_ARCH_ARM
#elif defined(__riscv)
#define OWN AUDIT_ARCH_RISCV64
#elif defined(__MIPSEL__)
#define OWN AUDIT_ARCH_MIPSEL
#else
#define OWN AUDIT_ARCH_MIPS
#endif

/* Mips begins to count at 4000. */
#ifdef __NR_Linux
#define FIRST ((unsigned)__NR_Linux)
#else
#define FIRST 0U
#endif

/* Conditions on arguments, put in other words than in jail_filter.c. */

static bool any(const uint64_t *a)
{
    (void)a;
    return true;
}

static bool to_nobody(const uint64_t *a)
{
    return a[4] == 0 && a[5] == 0;
}

static bool private_memory(const uint64_t *a)
{
    return (a[2] == PROT_NONE || a[2] == (PROT_READ | PROT_WRITE)) &&
           a[3] == (MAP_PRIVATE | MAP_ANONYMOUS) && (uint32_t)a[4] == UINT32_MAX;
}

static bool plain_memory(const uint64_t *a)
{
    return a[2] == (PROT_READ | PROT_WRITE);
}

static bool freed_memory(const uint64_t *a)
{
    return a[2] == MADV_DONTNEED || a[2] == MADV_FREE;
}

static bool another_list(const uint64_t *a)
{
    return a[0] == SECCOMP_SET_MODE_FILTER && a[1] == 0;
}

static bool local_socket(const uint64_t *a)
{
    return a[0] == AF_UNIX;
}

#ifdef __i386__
static bool packed(const uint64_t *a)
{
    return a[0] == SYS_RECV || a[0] == SYS_SEND || a[0] == SYS_SHUTDOWN;
}
#endif

enum where { ALL = 1, GATE, OPENING, MONITOR, FILES };

struct call {
    const char *name;
    long number; /* -1: the lists of this machine are without it */
    bool (*fits)(const uint64_t *a);
    enum where where; /* from the manual; 0: it is not there */
};

#define NUMBER(name) __NR_##name

static struct call calls[] = {
    {"read", NUMBER(read), any, 0},
    {"write", NUMBER(write), any, 0},
#ifdef __NR_recv
    {"recv", NUMBER(recv), any, 0},
#else
    {"recv", -1, any, 0},
#endif
    {"recvfrom", NUMBER(recvfrom), to_nobody, 0},
#ifdef __NR_send
    {"send", NUMBER(send), any, 0},
#else
    {"send", -1, any, 0},
#endif
    {"sendto", NUMBER(sendto), to_nobody, 0},
#ifdef __i386__
    {"socketcall", NUMBER(socketcall), packed, 0},
#else
    {"socketcall", -1, any, 0},
#endif
#ifdef __NR_poll
    {"poll", NUMBER(poll), any, 0},
    {"ppoll", -1, any, 0},
#else
    {"poll", -1, any, 0},
    {"ppoll", NUMBER(ppoll), any, 0},
#endif
    {"clock_gettime", NUMBER(clock_gettime), any, 0},
#ifdef __NR_clock_gettime64
    {"clock_gettime64", NUMBER(clock_gettime64), any, 0},
#else
    {"clock_gettime64", -1, any, 0},
#endif
    {"close", NUMBER(close), any, 0},
    {"shutdown", NUMBER(shutdown), any, 0},
    {"brk", NUMBER(brk), any, 0},
#ifdef __NR_mmap2
    {"mmap", -1, private_memory, 0},
    {"mmap2", NUMBER(mmap2), private_memory, 0},
#else
    {"mmap", NUMBER(mmap), private_memory, 0},
    {"mmap2", -1, private_memory, 0},
#endif
    {"mprotect", NUMBER(mprotect), plain_memory, 0},
    {"munmap", NUMBER(munmap), any, 0},
    {"madvise", NUMBER(madvise), freed_memory, 0},
    {"getpid", NUMBER(getpid), any, 0},
    {"restart_syscall", NUMBER(restart_syscall), any, 0},
    {"exit_group", NUMBER(exit_group), any, 0},
    {"getrandom", NUMBER(getrandom), any, 0},
    {"recvmsg", NUMBER(recvmsg), any, 0},
    {"seccomp", NUMBER(seccomp), another_list, 0},
#ifdef __NR_gettimeofday
    {"gettimeofday", NUMBER(gettimeofday), any, 0},
#else
    {"gettimeofday", -1, any, 0},
#endif
#ifdef __NR_time
    {"time", NUMBER(time), any, 0},
#else
    {"time", -1, any, 0},
#endif
    {"openat", NUMBER(openat), any, 0},
#ifdef __NR_open
    {"open", NUMBER(open), any, 0},
#else
    {"open", -1, any, 0},
#endif
    {"sendmsg", NUMBER(sendmsg), any, 0},
    {"wait4", NUMBER(wait4), any, 0},
    {"kill", NUMBER(kill), any, 0},
    {"socket", NUMBER(socket), local_socket, 0},
    {"connect", NUMBER(connect), any, 0},
    {"splice", NUMBER(splice), any, 0},
};

#define CALLS (sizeof calls / sizeof calls[0])

static struct call *find_name(const char *name)
{
    for (size_t i = 0; i < CALLS; i++)
        if (strcmp(calls[i].name, name) == 0)
            return &calls[i];
    return NULL;
}

static const struct call *find_number(uint32_t number)
{
    for (size_t i = 0; i < CALLS; i++)
        if (calls[i].number >= 0 && (uint32_t)calls[i].number == number)
            return &calls[i];
    return NULL;
}

static enum where where_of(const char *word)
{
    static const char *const words[] = {[ALL] = "all",
                                        [GATE] = "gate",
                                        [OPENING] = "opening",
                                        [MONITOR] = "monitor",
                                        [FILES] = "fails"};

    for (size_t i = ALL; i <= FILES; i++)
        if (strcmp(words[i], word) == 0)
            return (enum where)i;
    fail_msg("%s: %s is no word for where a call is allowed", MANUAL, word);
    return 0;
}

/* The manual's table: ".It Li NAME Ta WHERE Ta ...". */
static int read_manual(void **state)
{
    char line[300], name[40], word[40];
    FILE *file = fopen(MANUAL, "r");

    (void)state;
    if (file == NULL)
        fail_msg("%s: %s (to be run from the top folder)", MANUAL, strerror(errno));
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, ".It Li %39s Ta %39s Ta", name, word) != 2)
            continue;
        struct call *c = find_name(name);
        if (c == NULL)
            fail_msg("%s: what is %s?", MANUAL, name);
        if (c->where != 0)
            fail_msg("%s: %s is there twice", MANUAL, name);
        c->where = where_of(word);
    }
    (void)fclose(file);
    return 0;
}

/* As the kernel runs a program; only the instructions that are in ours. */
static uint32_t run(const struct sock_filter *program, size_t len, const struct seccomp_data *data)
{
    uint32_t a = 0;

    for (size_t at = 0; at < len; at++) {
        const struct sock_filter *i = &program[at];
        switch (i->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            assert_true(i->k % 4 == 0 && i->k + 4 <= sizeof *data);
            memcpy(&a, (const uint8_t *)data + i->k, sizeof a);
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            at += a == i->k ? i->jt : i->jf;
            break;
        case BPF_RET | BPF_K:
            return i->k;
        default:
            fail_msg("instruction %zu has the code %x", at, i->code);
        }
    }
    fail_msg("the program goes on behind its end");
    return 0;
}

struct list {
    const char *name;
    enum jail_list list;
    bool verifies;
};

static const struct list lists[] = {
    {"opening", JAIL_LIST_OPENING, false},
    {"opening, client certificates", JAIL_LIST_OPENING, true},
    {"relay", JAIL_LIST_RELAY, false},
    {"monitor", JAIL_LIST_MONITOR, false},
};

static bool is_in(const struct list *l, enum where where)
{
    switch (where) {
    case ALL:
        return true;
    case GATE:
        return l->list != JAIL_LIST_MONITOR;
    case OPENING:
        return l->list == JAIL_LIST_OPENING;
    case MONITOR:
        return l->list == JAIL_LIST_MONITOR;
    case FILES:
        return l->list == JAIL_LIST_OPENING && l->verifies;
    }
    return false;
}

static uint32_t wanted(const struct list *l, const struct seccomp_data *d)
{
    uint64_t a[6];
    const struct call *c = find_number((uint32_t)d->nr);

    if (d->arch != OWN || c == NULL || !is_in(l, c->where))
        return SECCOMP_RET_KILL_PROCESS;
    memcpy(a, d->args, sizeof a);
#ifdef __i386__
    /* These bring more than the common ones. */
    if (d->nr == __NR_socketcall && l->list == JAIL_LIST_OPENING && a[0] == SYS_RECVMSG)
        return SECCOMP_RET_ALLOW;
    if (d->nr == __NR_socketcall && l->list == JAIL_LIST_MONITOR &&
        (a[0] == SYS_SENDMSG || a[0] == SYS_SOCKET || a[0] == SYS_CONNECT))
        return SECCOMP_RET_ALLOW;
#endif
    if (c->where == FILES)
        return SECCOMP_RET_ERRNO | EACCES;
    return c->fits(a) ? SECCOMP_RET_ALLOW : SECCOMP_RET_KILL_PROCESS;
}

struct tried {
    const struct list *list;
    struct sock_filter program[JAIL_FILTER_MAX];
    size_t len;
    unsigned long allowed, killed;
};

static void look(struct tried *t, const struct seccomp_data *d)
{
    uint32_t got = run(t->program, t->len, d), want = wanted(t->list, d);

    if (got != want)
        fail_msg("%s: call %d of %x (%llx, %llx, %llx, %llx, %llx, %llx): %x, not %x",
                 t->list->name, d->nr, d->arch, (unsigned long long)d->args[0],
                 (unsigned long long)d->args[1], (unsigned long long)d->args[2],
                 (unsigned long long)d->args[3], (unsigned long long)d->args[4],
                 (unsigned long long)d->args[5], got, want);
    t->allowed += got != SECCOMP_RET_KILL_PROCESS;
    t->killed += got == SECCOMP_RET_KILL_PROCESS;
}

static void begin(struct tried *t, const struct list *l)
{
    *t = (struct tried){.list = l};
    t->len = jail_filter_program(l->list, l->verifies, t->program);
    assert_in_range(t->len, 20, JAIL_FILTER_MAX);
}

/* Arguments with which one of the calls that have conditions passes, and some with which none does. */
static const uint64_t bases[][6] = {
    {0},
    {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX},
    {3, 0x1000, 100, 0, 0, 0},
    {0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, UINT64_MAX, 0},
    {0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, UINT32_MAX, 0},
    {0x1000, 4096, MADV_DONTNEED, 0, 0, 0},
    {0x1000, 4096, MADV_FREE, 0, 0, 0},
    {SECCOMP_SET_MODE_FILTER, 0, 0x1000, 0, 0, 0},
    {AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, 0, 0, 0},
};

#define BASES (sizeof bases / sizeof bases[0])

/* Each of them is tried as it is, and with the lowest bit of the upper half set. */
static const uint32_t values[] = {0,
                                  1,
                                  2,
                                  3,
                                  4,
                                  5,
                                  7,
                                  8,
                                  9,
                                  10,
                                  13,
                                  16,
                                  17,
                                  MAP_SHARED | MAP_ANONYMOUS,
                                  MAP_PRIVATE,
                                  MAP_PRIVATE | MAP_ANONYMOUS,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                                  PROT_READ | PROT_WRITE | PROT_GROWSDOWN,
                                  0x80000000,
                                  UINT32_MAX};

#define VALUES (2 * sizeof values / sizeof values[0])

static uint64_t value(size_t i)
{
    return values[i / 2] | (uint64_t)(i % 2) << 32;
}

static void set(struct seccomp_data *d, size_t base)
{
    for (size_t i = 0; i < 6; i++)
        d->args[i] = bases[base][i];
}

/* One call with each pair of its arguments replaced by all pairs of values. */
static void vary(struct tried *t, struct seccomp_data d, size_t base)
{
    for (size_t i = 0; i < 6; i++)
        for (size_t j = i + 1; j < 6; j++)
            for (size_t n = 0; n < VALUES * VALUES; n++) {
                set(&d, base);
                d.args[i] = value(n / VALUES);
                d.args[j] = value(n % VALUES);
                look(t, &d);
            }
}

static void the_calls_that_pass_are_those_of_the_manual(void **state)
{
    struct tried t;

    (void)state;
    for (size_t l = 0; l < sizeof lists / sizeof lists[0]; l++) {
        begin(&t, &lists[l]);
        for (unsigned n = 0; n <= FIRST + HIGHEST; n++)
            for (size_t b = 0; b < BASES; b++) {
                struct seccomp_data d = {.nr = (int)n, .arch = OWN};
                set(&d, b);
                look(&t, &d);
            }
        assert_true(t.allowed > 100 && t.killed > 1000);
    }
}

static void conditions_hold_for_all_64_bits_of_each_argument(void **state)
{
    struct tried t;

    (void)state;
    for (size_t l = 0; l < sizeof lists / sizeof lists[0]; l++) {
        begin(&t, &lists[l]);
        for (size_t c = 0; c < CALLS; c++)
            for (size_t b = 0; b < BASES && calls[c].fits != any && calls[c].number >= 0; b++)
                vary(&t, (struct seccomp_data){.nr = (int)calls[c].number, .arch = OWN}, b);
        assert_true(t.allowed > 100 && t.killed > 1000);
    }
}

static void numbers_of_x32_and_others_out_of_range_are_refused(void **state)
{
    static const uint32_t far[] = {X32, 0x80000000, 0xf0000, 0x10000};
    struct tried t;

    (void)state;
    for (size_t l = 0; l < sizeof lists / sizeof lists[0]; l++) {
        begin(&t, &lists[l]);
        for (size_t f = 0; f < sizeof far / sizeof far[0]; f++)
            for (unsigned n = 0; n <= FIRST + HIGHEST; n++)
                for (size_t b = 0; b < BASES; b++) {
                    struct seccomp_data d = {.nr = (int)(far[f] + n), .arch = OWN};
                    set(&d, b);
                    look(&t, &d);
                }
        struct seccomp_data last = {.nr = -1, .arch = OWN};
        look(&t, &last);
        assert_true(t.allowed == 0 && t.killed > 1000);
    }
}

static void numbers_of_another_architecture_are_refused(void **state)
{
    static const uint32_t others[] = {AUDIT_ARCH_X86_64,
                                      AUDIT_ARCH_I386,
                                      AUDIT_ARCH_AARCH64,
                                      AUDIT_ARCH_ARM,
                                      AUDIT_ARCH_ARMEB,
                                      AUDIT_ARCH_RISCV32,
                                      AUDIT_ARCH_RISCV64,
                                      AUDIT_ARCH_MIPS,
                                      AUDIT_ARCH_MIPSEL,
                                      AUDIT_ARCH_MIPS64,
                                      AUDIT_ARCH_MIPSEL64,
                                      AUDIT_ARCH_MIPSEL64N32,
                                      AUDIT_ARCH_PPC64LE,
                                      AUDIT_ARCH_S390X,
                                      OWN ^ 1,
                                      0,
                                      UINT32_MAX};
    struct tried t;

    (void)state;
    for (size_t l = 0; l < sizeof lists / sizeof lists[0]; l++) {
        begin(&t, &lists[l]);
        for (size_t o = 0; o < sizeof others / sizeof others[0]; o++)
            for (unsigned n = 0; n <= FIRST + HIGHEST && others[o] != OWN; n++)
                for (size_t b = 0; b < BASES; b++) {
                    struct seccomp_data d = {.nr = (int)n, .arch = others[o]};
                    set(&d, b);
                    look(&t, &d);
                }
        assert_true(t.allowed == 0 && t.killed > 1000);
    }
}

static void the_manual_names_every_call_of_any_machine(void **state)
{
    (void)state;
    for (size_t c = 0; c < CALLS; c++)
        if (calls[c].where == 0)
            fail_msg("%s: %s is not there", MANUAL, calls[c].name);
}

/* Each is loaded by a process of its own, which then makes a call that is in it. */
static void the_kernel_takes_each_list(void **state)
{
    (void)state;
    for (size_t l = 0; l < sizeof lists / sizeof lists[0]; l++) {
        int status = 0;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            int rc = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            rc = rc == 0 ? jail_filter_load(lists[l].list, lists[l].verifies) : -errno;
            _exit(rc == 0 ? 0 : rc == -ENOSYS ? 77 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
    }
}

static void a_build_without_lists_says_so(void **state)
{
    struct sock_filter program[JAIL_FILTER_MAX];

    (void)state;
    assert_int_equal(jail_filter_program(JAIL_LIST_OPENING, false, program), 0);
    assert_int_equal(jail_filter_load(JAIL_LIST_OPENING, false), -ENOSYS);
}

int main(void)
{
    const struct CMUnitTest with[] = {
        cmocka_unit_test(the_manual_names_every_call_of_any_machine),
        cmocka_unit_test(the_calls_that_pass_are_those_of_the_manual),
        cmocka_unit_test(conditions_hold_for_all_64_bits_of_each_argument),
        cmocka_unit_test(numbers_of_x32_and_others_out_of_range_are_refused),
        cmocka_unit_test(numbers_of_another_architecture_are_refused),
        cmocka_unit_test(the_kernel_takes_each_list),
    };
    const struct CMUnitTest without[] = {cmocka_unit_test(a_build_without_lists_says_so)};
#ifdef POSTERN_SECCOMP
    (void)without;
    return cmocka_run_group_tests(with, read_manual, NULL);
#else
    (void)with;
    return cmocka_run_group_tests(without, read_manual, NULL);
#endif
}
