// The bodies of CLinuxSockets.h. In a file of their own: sendmmsg, accept4 and affinity are GNU's,
// and a header that switches GNU on would show Swift other structs than the modules beside it do.
#define _GNU_SOURCE
#include "CLinuxSockets.h"
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

_Static_assert(CTLAB_READABLE == EPOLLIN && CTLAB_WRITABLE == EPOLLOUT, "epoll's bits");
_Static_assert(CTLAB_FAILED == EPOLLERR && CTLAB_HUNG_UP == EPOLLHUP, "epoll's bits");
_Static_assert(CTLAB_ENDED == EPOLLRDHUP && CTLAB_ONCE == EPOLLET, "epoll's bits");

union ctlab_sockaddr {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
};

static inline uint64_t ctlab_swap64(uint64_t value) { return __builtin_bswap64(value); }

static inline socklen_t ctlab_fill(
    union ctlab_sockaddr *name, const struct ctlab_endpoint *endpoint) {
    memset(name, 0, sizeof *name);
    if (endpoint->family == AF_INET) {
        name->ipv4.sin_family = AF_INET;
        name->ipv4.sin_port = htons(endpoint->port);
        name->ipv4.sin_addr.s_addr = htonl((uint32_t)endpoint->low);
        return sizeof name->ipv4;
    }
    uint64_t halves[2] = {ctlab_swap64(endpoint->high), ctlab_swap64(endpoint->low)};
    name->ipv6.sin6_family = AF_INET6;
    name->ipv6.sin6_port = htons(endpoint->port);
    memcpy(&name->ipv6.sin6_addr, halves, sizeof halves);
    return sizeof name->ipv6;
}

static inline struct ctlab_endpoint ctlab_read_sockaddr(const union ctlab_sockaddr *name) {
    struct ctlab_endpoint endpoint;
    memset(&endpoint, 0, sizeof endpoint);
    endpoint.family = name->any.sa_family;
    if (name->any.sa_family == AF_INET) {
        endpoint.port = ntohs(name->ipv4.sin_port);
        endpoint.low = ntohl(name->ipv4.sin_addr.s_addr);
    } else if (name->any.sa_family == AF_INET6) {
        uint64_t halves[2];
        memcpy(halves, &name->ipv6.sin6_addr, sizeof halves);
        endpoint.port = ntohs(name->ipv6.sin6_port);
        endpoint.high = ctlab_swap64(halves[0]);
        endpoint.low = ctlab_swap64(halves[1]);
    }
    return endpoint;
}

int ctlab_stream_socket(int family) {
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int ctlab_datagram_socket(int family) {
    return socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int ctlab_set_option(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value);
}

// The port is chosen by connect, when the whole tuple is known: one address gives 64k ports to
// each destination, not 64k in all.
int ctlab_choose_port_late(int fd) {
    return ctlab_set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
}

int ctlab_bind(int fd, const struct ctlab_endpoint *endpoint) {
    union ctlab_sockaddr name;
    socklen_t length = ctlab_fill(&name, endpoint);
    return bind(fd, &name.any, length);
}

int ctlab_connect(int fd, const struct ctlab_endpoint *endpoint) {
    union ctlab_sockaddr name;
    socklen_t length = ctlab_fill(&name, endpoint);
    return connect(fd, &name.any, length);
}

int ctlab_accept(int fd) {
    return accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int ctlab_local_name(int fd, struct ctlab_endpoint *endpoint) {
    union ctlab_sockaddr name;
    socklen_t length = sizeof name;
    memset(&name, 0, sizeof name);
    int result = getsockname(fd, &name.any, &length);
    *endpoint = ctlab_read_sockaddr(&name);
    return result;
}

// What a connection attempt came to; 0 is good.
int ctlab_socket_error(int fd, int *error) {
    socklen_t length = sizeof *error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, error, &length);
}

// close() then sends a reset instead of a FIN.
int ctlab_linger_none(int fd) {
    struct linger linger = {1, 0};
    return setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

// close() then sends nothing at all; needs CAP_NET_ADMIN.
int ctlab_repair(int fd) { return ctlab_set_option(fd, IPPROTO_TCP, TCP_REPAIR, 1); }

// Acknowledges at once what was received.
int ctlab_acknowledge_now(int fd) {
    return ctlab_set_option(fd, IPPROTO_TCP, TCP_QUICKACK, 1);
}

// Bytes sent and not acknowledged yet.
int ctlab_unacknowledged(int fd, int *byteCount) {
    return ioctl(fd, SIOCOUTQ, byteCount);
}

// Segments of a TCP socket that were sent again, its SYN included.
int ctlab_retransmissions(int fd, uint32_t *count) {
    struct tcp_info info;
    memset(&info, 0, sizeof info);
    socklen_t length = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return -1;
    *count = info.tcpi_total_retrans;
    return 0;
}

int ctlab_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

int ctlab_epoll_add(int epoll, int fd, uint32_t events, uint64_t token) {
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = events;
    event.data.u64 = token;
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

// Waits at most `nanoseconds`; below zero waits for ever.
int ctlab_epoll_wait(int epoll, struct ctlab_ready *ready, int64_t nanoseconds) {
    struct epoll_event events[CTLAB_READY_MAX];
    struct timespec timeout = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    int count = epoll_pwait2(
        epoll, events, CTLAB_READY_MAX, nanoseconds < 0 ? NULL : &timeout, NULL);
    for (int i = 0; i < count; i++) {
        ready[i].token = events[i].data.u64;
        ready[i].events = events[i].events;
    }
    return count;
}

// Datagrams in batches: one call sends or receives up to CTLAB_BATCH_MAX.
struct ctlab_batch {
    struct mmsghdr messages[CTLAB_BATCH_MAX];
    struct mmsghdr answers[CTLAB_BATCH_MAX];
    union ctlab_sockaddr names[CTLAB_BATCH_MAX];
    struct iovec parts[CTLAB_BATCH_MAX];
    char control[CTLAB_BATCH_MAX][64] __attribute__((aligned(8)));
    unsigned char bytes[CTLAB_BATCH_MAX][CTLAB_BATCH_BYTES];
    int count;
};

void ctlab_batch_add(
    struct ctlab_batch *batch, const struct ctlab_endpoint *to, const void *bytes, size_t count) {
    int i = batch->count;
    if (i >= CTLAB_BATCH_MAX || count > CTLAB_BATCH_BYTES) return;
    struct msghdr *header = &batch->messages[i].msg_hdr;
    memset(header, 0, sizeof *header);
    header->msg_namelen = ctlab_fill(&batch->names[i], to);
    header->msg_name = &batch->names[i];
    memcpy(batch->bytes[i], bytes, count);
    batch->parts[i].iov_base = batch->bytes[i];
    batch->parts[i].iov_len = count;
    header->msg_iov = &batch->parts[i];
    header->msg_iovlen = 1;
    batch->count = i + 1;
}

int ctlab_batch_send(struct ctlab_batch *batch, int fd, int from) {
    return sendmmsg(fd, batch->messages + from, (unsigned)(batch->count - from), 0);
}

// Receives what is there, with the local address each datagram was sent to.
int ctlab_batch_receive(struct ctlab_batch *batch, int fd) {
    for (int i = 0; i < CTLAB_BATCH_MAX; i++) {
        struct msghdr *header = &batch->messages[i].msg_hdr;
        memset(header, 0, sizeof *header);
        header->msg_name = &batch->names[i];
        header->msg_namelen = sizeof batch->names[i];
        header->msg_control = batch->control[i];
        header->msg_controllen = sizeof batch->control[i];
        batch->parts[i].iov_base = batch->bytes[i];
        batch->parts[i].iov_len = CTLAB_BATCH_BYTES;
        header->msg_iov = &batch->parts[i];
        header->msg_iovlen = 1;
    }
    int count = recvmmsg(fd, batch->messages, CTLAB_BATCH_MAX, MSG_DONTWAIT, NULL);
    batch->count = count > 0 ? count : 0;
    return count;
}

// Sends back those received datagrams that begin with `mark`, each from the address it was sent to.
// Returns how many were asked for; -1 if none of them could be sent.
int ctlab_batch_answer(
    struct ctlab_batch *batch, int fd, const void *mark, int markLength) {
    int wanted = 0;
    for (int i = 0; i < batch->count; i++) {
        if (batch->messages[i].msg_len < (unsigned)markLength) continue;
        if (memcmp(batch->bytes[i], mark, (size_t)markLength) != 0) continue;
        struct mmsghdr *answer = &batch->answers[wanted++];
        *answer = batch->messages[i];
        unsigned length = batch->messages[i].msg_len;
        batch->parts[i].iov_len = length > CTLAB_BATCH_BYTES ? CTLAB_BATCH_BYTES : length;
        // Any way out will do: only the source address is asked for.
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&answer->msg_hdr); c != NULL;
             c = CMSG_NXTHDR(&answer->msg_hdr, c)) {
            if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
                ((struct in_pktinfo *)(void *)CMSG_DATA(c))->ipi_ifindex = 0;
        }
    }
    for (int sent = 0; sent < wanted;) {
        int count = sendmmsg(fd, batch->answers + sent, (unsigned)(wanted - sent), 0);
        if (count <= 0) return sent == 0 ? -1 : sent;
        sent += count;
    }
    return wanted;
}

int ctlab_pipe(int *ends) { return pipe2(ends, O_CLOEXEC); }

// Keeps the calling thread on one processor.
int ctlab_stay_on(int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)processor, &set);
    return sched_setaffinity(0, sizeof set, &set);
}

int ctlab_processor_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    return CPU_COUNT(&set);
}

struct ctlab_endpoint ctlab_read_name(const void *sockaddr) {
    return ctlab_read_sockaddr(sockaddr);
}

struct ctlab_batch *ctlab_batch_make(void) { return calloc(1, sizeof(struct ctlab_batch)); }

void ctlab_batch_free(struct ctlab_batch *batch) { free(batch); }

int ctlab_batch_count(const struct ctlab_batch *batch) { return batch->count; }

void ctlab_batch_clear(struct ctlab_batch *batch) { batch->count = 0; }
