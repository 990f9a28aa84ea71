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

/* The numbers of system calls differ between architectures. */
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

/* Offsets of the two halves of an argument of 64 bits. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LOW(n) offsetof(struct seccomp_data, args[n])
#define HIGH(n) (LOW(n) + sizeof(uint32_t))
#else
#define HIGH(n) offsetof(struct seccomp_data, args[n])
#define LOW(n) (HIGH(n) + sizeof(uint32_t))
#endif

/* Instructions. They are macros, so that the compiler builds the programs and a connection only copies them. */
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define SKIP_IF_EQUAL(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define KILL BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
#define REFUSE BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES)

/* Kills unless the 32 bits at this offset are one value, or one of two. */
#define MUST_BE(offset, value) LOAD(offset), SKIP_IF_EQUAL(value, 1, 0), KILL
#define MUST_BE_ONE_OF(offset, value, other)                                                       \
    LOAD(offset), SKIP_IF_EQUAL(value, 2, 0), SKIP_IF_EQUAL(other, 1, 0), KILL

/* Conditions on an argument: it is this value; it is one of two values; its lower half is this int, whose upper
 * half may be 0 or a sign extension, depending on the library. */
#define ARGUMENT(n, value) MUST_BE(LOW(n), value), MUST_BE(HIGH(n), 0)
#define ARGUMENT_ONE_OF(n, value, other) MUST_BE_ONE_OF(LOW(n), value, other), MUST_BE(HIGH(n), 0)
#define ARGUMENT_INT(n, value) MUST_BE(LOW(n), (uint32_t)(value))

/* On 32 bits musl has other names for the calls with a time before the year 2038. */
#if !defined(__NR_clock_gettime) && defined(__NR_clock_gettime32)
#define __NR_clock_gettime __NR_clock_gettime32
#endif
#if !defined(__NR_gettimeofday) && defined(__NR_gettimeofday_time32)
#define __NR_gettimeofday __NR_gettimeofday_time32
#endif

/* CALL allows a system call with any arguments, CALL_IF under conditions; CALL_FAILS makes it fail with EACCES.
 * The number of the call is loaded already. */
#define CALL(name) SKIP_IF_EQUAL(__NR_##name, 0, 1), ALLOW
#define LENGTH_OF(...) (sizeof((struct sock_filter[]){__VA_ARGS__}) / sizeof(struct sock_filter))
#define CALL_IF(name, ...)                                                                         \
    SKIP_IF_EQUAL(__NR_##name, 0, LENGTH_OF(__VA_ARGS__) + 1), __VA_ARGS__, ALLOW
/* Allows one of the calls that i386 had only as parts of socketcall(2), before they got numbers of their own. A
 * filter can't see their arguments. */
#define SOCKETCALL(number)                                                                         \
    SKIP_IF_EQUAL(__NR_socketcall, 0, 6), LOAD(LOW(0)), SKIP_IF_EQUAL(number, 0, 3),               \
        LOAD(HIGH(0)), SKIP_IF_EQUAL(0, 0, 1), ALLOW, LOAD(offsetof(struct seccomp_data, nr))
#define CALL_FAILS(name) SKIP_IF_EQUAL(__NR_##name, 0, 1), REFUSE

/* Needs no check for x32: its numbers have a bit that no number in a list has. */
static const struct sock_filter beginning[] = {
    MUST_BE(offsetof(struct seccomp_data, arch), ARCHITECTURE),
    LOAD(offsetof(struct seccomp_data, nr)),
};

static const struct sock_filter ending[] = {KILL};

/* The calls of every list, the most frequent ones first.
 *
 * About memory: RLIMIT_DATA counts private memory that may be written. So no other kind may be mapped. And
 * mprotect(2) can't take the right to write away, since memory without it would not count. */
static const struct sock_filter common[] = {
    CALL(read),  /* from the handler; from a client that is no socket */
    CALL(write), /* to the handler */
#ifdef __NR_recv
    CALL(recv), /* from the client; from the other process */
#endif
    CALL_IF(recvfrom, ARGUMENT(4, 0), ARGUMENT(5, 0)), /* recv() uses it on most machines */
#ifdef __NR_send
    CALL(send), /* to the client; to the other process */
#endif
    CALL_IF(sendto, ARGUMENT(4, 0), ARGUMENT(5, 0)), /* send() uses it, without an address */
#ifdef __i386__
    SOCKETCALL(SYS_RECV), /* glibc's recv(), send() and shutdown() use it */
    SOCKETCALL(SYS_SEND),
    SOCKETCALL(SYS_SHUTDOWN),
#endif
#ifdef __NR_poll
    CALL(poll), /* waiting */
#else
    CALL(ppoll), /* poll() uses it on machines without a poll(2) of their own */
#endif
#ifdef __NR_clock_gettime64
    CALL(clock_gettime64), /* 32 bits: time-outs beyond the year 2038 */
#endif
    CALL(clock_gettime), /* time-outs, if the vDSO can't tell the time itself */
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
    CALL_IF(mprotect, ARGUMENT(2, PROT_READ | PROT_WRITE)), /* musl follows that mmap() by it */
    CALL(munmap),
    CALL_IF(madvise, ARGUMENT_ONE_OF(2, MADV_DONTNEED, MADV_FREE)), /* our stack; musl's free() */
    CALL(getpid),          /* wolfSSL's random generator notices a fork by it; lines of the log */
    CALL(restart_syscall), /* goes on with poll() after a stop or a sleep of the machine */
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
    CALL(gettimeofday), /* a ticket's age, if the vDSO can't tell the time itself */
#endif
#ifdef __NR_time
    CALL(time), /* the same */
#endif
    CALL_IF(seccomp, ARGUMENT(0, SECCOMP_SET_MODE_FILTER), ARGUMENT(1, 0)), /* the relay's list */
};

/* The monitor: reaps its children, and logs, perhaps to a daemon that was restarted. */
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

/* The gate with client certificates. Some builds of wolfSSL try to open /dev/urandom for each certificate and go on
 * if that fails. */
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

/* Appends a part to the program. The kernel reaches it if the parts before it did not decide. */
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
