#ifndef CLINUX_SOCKETS_H
#define CLINUX_SOCKETS_H
// Sockets, epoll and affinity: addresses as plain numbers, so that Swift builds no sockaddr. Every
// function returns what the system call returns, and leaves errno alone.
#include <stddef.h>
#include <stdint.h>

// An address and port in host order; an IPv4 address fills the low 32 bits of `low`.
struct ctlab_endpoint {
    uint64_t high, low;
    uint16_t port;
    uint16_t family;
};

// epoll: readiness in an array of plain numbers.
struct ctlab_ready {
    uint64_t token;
    uint32_t events;
};
#define CTLAB_READY_MAX 512
// epoll's own bits, as plain numbers.
#define CTLAB_READABLE 0x001u
#define CTLAB_WRITABLE 0x004u
#define CTLAB_FAILED 0x008u
#define CTLAB_HUNG_UP 0x010u
#define CTLAB_ENDED 0x2000u
#define CTLAB_ONCE 0x80000000u

// Datagrams in batches: one call sends or receives up to CTLAB_BATCH_MAX.
struct ctlab_batch;
#define CTLAB_BATCH_MAX 256
#define CTLAB_BATCH_BYTES 64
struct ctlab_batch *ctlab_batch_make(void);
void ctlab_batch_free(struct ctlab_batch *batch);
int ctlab_batch_count(const struct ctlab_batch *batch);
void ctlab_batch_clear(struct ctlab_batch *batch);

// The address in a name the resolver has filled in.
struct ctlab_endpoint ctlab_read_name(const void *sockaddr);

int ctlab_stream_socket(int family);

int ctlab_datagram_socket(int family);

int ctlab_set_option(int fd, int level, int option, int value);

// The port is chosen by connect, when the whole tuple is known: one address gives 64k ports to
// each destination, not 64k in all.
int ctlab_choose_port_late(int fd);

int ctlab_bind(int fd, const struct ctlab_endpoint *endpoint);

int ctlab_connect(int fd, const struct ctlab_endpoint *endpoint);

int ctlab_accept(int fd);

int ctlab_local_name(int fd, struct ctlab_endpoint *endpoint);

// What a connection attempt came to; 0 is good.
int ctlab_socket_error(int fd, int *error);

// close() then sends a reset instead of a FIN.
int ctlab_linger_none(int fd);

// close() then sends nothing at all; needs CAP_NET_ADMIN.
int ctlab_repair(int fd);

// Acknowledges at once what was received.
int ctlab_acknowledge_now(int fd);

// Bytes sent and not acknowledged yet.
int ctlab_unacknowledged(int fd, int *byteCount);

// Segments of a TCP socket that were sent again, its SYN included.
int ctlab_retransmissions(int fd, uint32_t *count);

int ctlab_epoll_create(void);

int ctlab_epoll_add(int epoll, int fd, uint32_t events, uint64_t token);

// Waits at most `nanoseconds`; below zero waits for ever.
int ctlab_epoll_wait(int epoll, struct ctlab_ready *ready, int64_t nanoseconds);

void ctlab_batch_add(
    struct ctlab_batch *batch, const struct ctlab_endpoint *to, const void *bytes, size_t count);

int ctlab_batch_send(struct ctlab_batch *batch, int fd, int from);

// Receives what is there, with the local address each datagram was sent to.
int ctlab_batch_receive(struct ctlab_batch *batch, int fd);

// Sends back those received datagrams that begin with `mark`, each from the address it was sent to.
// Returns how many were asked for; -1 if none of them could be sent.
int ctlab_batch_answer(struct ctlab_batch *batch, int fd, const void *mark, int markLength);

// A pipe that programs started later do not inherit: the reading end first.
int ctlab_pipe(int *ends);

// Keeps the calling thread on one processor.
int ctlab_stay_on(int processor);

int ctlab_processor_count(void);
#endif
