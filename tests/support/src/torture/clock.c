/* A wall clock that jumps: preloaded into a process, it moves CLOCK_REALTIME by CLOCK_JUMP_SECONDS once CLOCK_JUMP_AFTER_MS
 * milliseconds have passed since the process first looked at it. The monotonic clock is left alone, as it is when an operator
 * or NTP sets the time. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long monotonic_ms(void) {
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static long long offset(void) {
    static long long begin;
    long long now = monotonic_ms();
    if (!begin) begin = now;
    const char *after = getenv("CLOCK_JUMP_AFTER_MS"), *seconds = getenv("CLOCK_JUMP_SECONDS");
    return after && seconds && now - begin >= atoll(after) ? atoll(seconds) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int code = syscall(SYS_clock_gettime, clock, time);
    if (!code && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += offset();
    return code;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    struct timespec now;
    (void)zone;
    int code = clock_gettime(CLOCK_REALTIME, &now);
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return code;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
