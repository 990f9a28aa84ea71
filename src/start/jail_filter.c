/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "start/jail_filter.h"

#include <errno.h>

#ifdef POSTERN_SECCOMP

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/net.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Numbers of system calls mean nothing without this. */
#if defined(__x86_64__) && !defined(__ILP32__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__i386__)
#define ARCHITECTURE AUDIT_ARCH_I386
#elif defined(__aarch64__) && !defined(__ILP32__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__arm__) && defined(__ARM_EABI__) && defined(__ARMEL__)
#define ARCHITECTURE AUDIT_ARCH_ARM
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#elif defined(__mips__) && _MIPS_SIM == _ABIO32 && defined(__MIPSEL__)
#define ARCHITECTURE AUDIT_ARCH_MIPSEL
#elif defined(__mips__) && _MIPS_SIM == _ABIO32
#define ARCHITECTURE AUDIT_ARCH_MIPS
#else
#error "src/start/jail_filter.c knows no system calls of this processor: build with make SECCOMP=0"
#endif

/* Where the two halves of an argument are. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LOW(n) offsetof(struct seccomp_data, args[n])
#define HIGH(n) (LOW(n) + sizeof(uint32_t))
#else
#define HIGH(n) offsetof(struct seccomp_data, args[n])
#define LOW(n) (HIGH(n) + sizeof(uint32_t))
#endif

/* Macros, since the compiler makes the programs: nothing of them is left to do for a connection. */
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define SKIP_IF_EQUAL(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define KILL BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
#define REFUSE BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES)

/* What is at this offset must be one value, or one of two. */
#define MUST_BE(offset, value) LOAD(offset), SKIP_IF_EQUAL(value, 1, 0), KILL
#define MUST_BE_ONE_OF(offset, value, other)                                                       \
    LOAD(offset), SKIP_IF_EQUAL(value, 2, 0), SKIP_IF_EQUAL(other, 1, 0), KILL

/* Conditions on an argument: all of its 64 bits; or a small number of two; or, for a C int that a library
 * may extend either way, the lower half. */
#define ARGUMENT(n, value) MUST_BE(LOW(n), value), MUST_BE(HIGH(n), 0)
#define ARGUMENT_ONE_OF(n, value, other) MUST_BE_ONE_OF(LOW(n), value, other), MUST_BE(HIGH(n), 0)
#define ARGUMENT_INT(n, value) MUST_BE(LOW(n), (uint32_t)(value))

/* musl's names, on 32 bits, of the calls that tell times before the year 2038. */
#if !defined(__NR_clock_gettime) && defined(__NR_clock_gettime32)
#define __NR_clock_gettime __NR_clock_gettime32
#endif
#if !defined(__NR_gettimeofday) && defined(__NR_gettimeofday_time32)
#define __NR_gettimeofday __NR_gettimeofday_time32
#endif

/* A call with any arguments; with the conditions that follow it; one that fails with EACCES. The number of
 * the call has been loaded. */
#define CALL(name) SKIP_IF_EQUAL(__NR_##name, 0, 1), ALLOW
#define LENGTH_OF(...) (sizeof((struct sock_filter[]){__VA_ARGS__}) / sizeof(struct sock_filter))
#define CALL_IF(name, ...)                                                                         \
    SKIP_IF_EQUAL(__NR_##name, 0, LENGTH_OF(__VA_ARGS__) + 1), __VA_ARGS__, ALLOW
/* One of the many calls in this one, which i386 has had before they got numbers of their own: what their
 * arguments are a filter can't see. */
#define SOCKETCALL(number)                                                                         \
    SKIP_IF_EQUAL(__NR_socketcall, 0, 6), LOAD(LOW(0)), SKIP_IF_EQUAL(number, 0, 3),               \
        LOAD(HIGH(0)), SKIP_IF_EQUAL(0, 0, 1), ALLOW, LOAD(offsetof(struct seccomp_data, nr))
#define CALL_FAILS(name) SKIP_IF_EQUAL(__NR_##name, 0, 1), REFUSE

/* x32's numbers have a bit that none in a list has: they need no look of their own. */
static const struct sock_filter beginning[] = {
    MUST_BE(offsetof(struct seccomp_data, arch), ARCHITECTURE),
    LOAD(offsetof(struct seccomp_data, nr)),
};

static const struct sock_filter ending[] = {KILL};

/* What every list has. Those that a busy session makes most come first.
 *
 * About memory: RLIMIT_DATA counts what is private and may be written. So nothing else may be mapped, and what
 * has been counted must stay so: mprotect(2) can't take the right to write away again, to make room for more. */
static const struct sock_filter common[] = {
    CALL(read),  /* from the handler; from a client that is no socket */
    CALL(write), /* to the handler */
#ifdef __NR_recv
    CALL(recv), /* from the client; from the other process */
#endif
    CALL_IF(recvfrom, ARGUMENT(4, 0), ARGUMENT(5, 0)), /* what recv() is on most machines */
#ifdef __NR_send
    CALL(send), /* to the client; to the other process */
#endif
    CALL_IF(sendto, ARGUMENT(4, 0), ARGUMENT(5, 0)), /* what send() is: never with an address */
#ifdef __i386__
    SOCKETCALL(SYS_RECV), /* what glibc still makes of recv(), send() and shutdown() */
    SOCKETCALL(SYS_SEND),
    SOCKETCALL(SYS_SHUTDOWN),
#endif
#ifdef __NR_poll
    CALL(poll), /* waiting */
#else
    CALL(ppoll), /* what poll() is where there is no other */
#endif
#ifdef __NR_clock_gettime64
    CALL(clock_gettime64), /* 32 bits: time-outs beyond the year 2038 */
#endif
    CALL(clock_gettime), /* time-outs, where the vDSO passes it on */
    CALL(close),         /* the handler's end, the client's */
    CALL(shutdown),      /* an orderly end */
    CALL(brk),           /* memory; PROT_NONE is musl's, when brk() has failed */
#ifdef __NR_mmap2
    CALL_IF(mmap2, ARGUMENT_ONE_OF(2, PROT_NONE, PROT_READ | PROT_WRITE),
            ARGUMENT(3, MAP_PRIVATE | MAP_ANONYMOUS), ARGUMENT_INT(4, -1)),
#else
    CALL_IF(mmap, ARGUMENT_ONE_OF(2, PROT_NONE, PROT_READ | PROT_WRITE),
            ARGUMENT(3, MAP_PRIVATE | MAP_ANONYMOUS), ARGUMENT_INT(4, -1)),
#endif
    CALL_IF(mprotect, ARGUMENT(2, PROT_READ | PROT_WRITE)), /* what follows such an mmap() */
    CALL(munmap),
    CALL_IF(madvise, ARGUMENT_ONE_OF(2, MADV_DONTNEED, MADV_FREE)), /* our stack; musl's free() */
    CALL(getpid),          /* wolfSSL's random generator looks for a fork; the log's lines */
    CALL(restart_syscall), /* poll() again, after a stop or a sleep of the machine */
    CALL(exit_group),
};

/* The gate in every phase. */
static const struct sock_filter gate[] = {
    CALL(getrandom), /* keys; and for CBC suites a new seed after a million records */
};

/* The gate in lobby and handshake. */
static const struct sock_filter opening[] = {
    CALL(recvmsg), /* the handler's descriptors from the monitor */
#ifdef __i386__
    SOCKETCALL(SYS_RECVMSG),
#endif
#ifdef __NR_gettimeofday
    CALL(gettimeofday), /* a ticket's age, where the vDSO passes it on */
#endif
#ifdef __NR_time
    CALL(time), /* the same */
#endif
    CALL_IF(seccomp, ARGUMENT(0, SECCOMP_SET_MODE_FILTER), ARGUMENT(1, 0)), /* the relay's list */
};

/* The monitor: its children, and a log that may have been restarted meanwhile. */
static const struct sock_filter monitor[] = {
    CALL(sendmsg), /* hands the handler's descriptors to the gate */
    CALL(wait4),
    CALL(kill),
    CALL_IF(socket, ARGUMENT(0, AF_UNIX)), /* the log */
    CALL(connect),
#ifdef __i386__
    SOCKETCALL(SYS_SENDMSG),
    SOCKETCALL(SYS_SOCKET),
    SOCKETCALL(SYS_CONNECT),
#endif
    CALL(splice), /* standard error, when it is a pipe that may be full */
};

/* The gate with client certificates: some builds of wolfSSL try to open /dev/urandom for each, and do
 * without. */
static const struct sock_filter no_files[] = {
    CALL_FAILS(openat),
#ifdef __NR_open
    CALL_FAILS(open),
#endif
};

#define SIZE_WITH(part) (sizeof beginning + sizeof common + sizeof(part) + sizeof ending)
_Static_assert(SIZE_WITH(gate) + sizeof opening + sizeof no_files <=
                   JAIL_FILTER_MAX * sizeof(struct sock_filter),
               "JAIL_FILTER_MAX");
_Static_assert(SIZE_WITH(monitor) <= JAIL_FILTER_MAX * sizeof(struct sock_filter),
               "JAIL_FILTER_MAX");

/* Each part goes on where the last has not decided. */
static size_t append(struct sock_filter *program, size_t len, const struct sock_filter *part,
                     size_t size)
{
    memcpy(program + len, part, size);
    return len + size / sizeof *part;
}

size_t jail_filter_program(enum jail_list list, bool verifies, struct sock_filter *program)
{
    size_t n = append(program, 0, beginning, sizeof beginning);

    n = append(program, n, common, sizeof common);
    if (list == JAIL_LIST_MONITOR)
        n = append(program, n, monitor, sizeof monitor);
    else
        n = append(program, n, gate, sizeof gate);
    if (list == JAIL_LIST_OPENING)
        n = append(program, n, opening, sizeof opening);
    if (list == JAIL_LIST_OPENING && verifies)
        n = append(program, n, no_files, sizeof no_files);
    return append(program, n, ending, sizeof ending);
}

int jail_filter_load(enum jail_list list, bool verifies)
{
    struct sock_filter instructions[JAIL_FILTER_MAX];
    struct sock_fprog program = {.filter = instructions};

    program.len = (unsigned short)jail_filter_program(list, verifies, instructions);
    return syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0 ? -errno : 0;
}

#else

size_t jail_filter_program(enum jail_list list, bool verifies, struct sock_filter *program)
{
    (void)list;
    (void)verifies;
    (void)program;
    return 0;
}

int jail_filter_load(enum jail_list list, bool verifies)
{
    (void)list;
    (void)verifies;
    return -ENOSYS;
}

#endif
