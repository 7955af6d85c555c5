// The yardstick for the load generator: connections made and closed at an even rate, with the same
// system calls in the same order, and nothing else. No plan, no histogram, no timer, no report.
//
//     churn ADDRESS PORT RATE SECONDS     prints: connections, CPU nanoseconds each
//     churn -u ADDRESS PORT COUNT RATE SECONDS     the same for datagrams to COUNT ports
//     churn -r ADDRESS PORT RATE SECONDS     asks over HTTP, and is closed upon
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STARTS_PER_TURN 64
#define EVENTS 512
#define BATCH 256

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t cpu(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return ((int64_t)u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000
        + ((int64_t)u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static const char request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";

// Whether the connection is over: it asks when it can, and reads until the far end has closed.
static int exchange(int fd, uint32_t events) {
    char answer[4096];
    if ((events & (EPOLLIN | EPOLLRDHUP)) == 0) {
        if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0) die("send");
        return 0;
    }
    for (;;) {
        ssize_t n = recv(fd, answer, sizeof answer, 0);
        if (n <= 0) return n == 0 || errno != EAGAIN;
    }
}

static int64_t streams(struct sockaddr_in to, int64_t gap, int64_t end, int asks) {
    int64_t done = 0, active = 0, next = now();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) die("epoll_create1");
    for (;;) {
        int64_t t = now();
        if (t >= end && active == 0) return done;
        for (int i = 0; i < STARTS_PER_TURN && next <= t && t < end; i++, next += gap) {
            int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
            if (fd < 0) die("socket");
            if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS)
                die("connect");
            struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.fd = fd}};
            if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
            active++;
        }
        int64_t pause = t >= end ? 1000000 : next > t ? next - t : 0;
        // What is under way is looked after every millisecond, as the generator's timers are.
        if (active > 0 && pause > 1000000) pause = 1000000;
        struct timespec timeout = {pause / 1000000000, pause % 1000000000};
        struct epoll_event events[EVENTS];
        int count = epoll_pwait2(epoll, events, EVENTS, &timeout, NULL);
        for (int i = 0; i < count; i++) {
            if (events[i].events & (EPOLLERR | EPOLLHUP)) die("connection");
            if (asks && !exchange(events[i].data.fd, events[i].events)) continue;
            close(events[i].data.fd);
            active--;
            done++;
        }
    }
}

static int64_t datagrams(struct sockaddr_in to, int ports, int64_t gap, int64_t end) {
    static struct mmsghdr messages[BATCH];
    static struct sockaddr_in names[BATCH];
    char byte[4] = {0};
    struct iovec part = {byte, sizeof byte};
    int64_t done = 0, next = now();
    int base = ntohs(to.sin_port), fd = -1;
    for (int64_t t = now(); t < end; t = now()) {
        int count = 0;
        for (; count < BATCH && next <= t; count++, next += gap) {
            // Another source port for each round of destinations.
            if ((done + count) % ports == 0) {
                if (count > 0) break;
                if (fd >= 0) close(fd);
                fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
                if (fd < 0) die("socket");
            }
            names[count] = to;
            names[count].sin_port = htons((uint16_t)(base + (done + count) % ports));
            messages[count].msg_hdr = (struct msghdr){
                .msg_name = &names[count], .msg_namelen = sizeof to, .msg_iov = &part,
                .msg_iovlen = 1};
        }
        for (int sent = 0; sent < count;) {
            int n = sendmmsg(fd, messages + sent, (unsigned)(count - sent), 0);
            if (n < 0) die("sendmmsg");
            sent += n;
        }
        done += count;
    }
    return done;
}

int main(int argc, char **argv) {
    int udp = argc > 1 && strcmp(argv[1], "-u") == 0;
    int asks = argc > 1 && strcmp(argv[1], "-r") == 0;
    if (argc != (udp ? 7 : asks ? 6 : 5)) {
        fprintf(stderr, "usage: churn [-u|-r] ADDRESS PORT [COUNT] RATE SECONDS\n");
        return 2;
    }
    argv += udp || asks;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
    if (inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) die("address");
    int64_t gap = 1000000000 / atoi(argv[3 + udp]);
    int64_t end = now() + (int64_t)atoi(argv[4 + udp]) * 1000000000;
    int64_t done = udp ? datagrams(to, atoi(argv[3]), gap, end) : streams(to, gap, end, asks);
    if (done == 0) return 1;
    printf("%lld %lld\n", (long long)done, (long long)(cpu() / done));
    return 0;
}
