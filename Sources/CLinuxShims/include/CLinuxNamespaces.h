#ifndef CLINUX_NAMESPACES_H
#define CLINUX_NAMESPACES_H
// Namespaces, tun devices and netlink sockets: constants and structs the Glibc module does not
// show to Swift. Every function returns what the system call returns, and leaves errno alone.
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/memfd.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <net/if.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

// Gives the calling thread a network namespace of its own.
static inline int ctlab_unshare_network(void) {
    return (int)syscall(SYS_unshare, CLONE_NEWNET);
}

// Moves the calling thread into the network namespace `fd` stands for.
static inline int ctlab_enter_network(int fd) { return (int)syscall(SYS_setns, fd, CLONE_NEWNET); }

// Makes `fd` (an open /dev/net/tun) the packet end of the new tun device `name`.
static inline int ctlab_attach_tun(int fd, const char *name) {
    struct ifreq request;
    memset(&request, 0, sizeof request);
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    return ioctl(fd, TUNSETIFF, &request);
}

// Lets the device outlive `fd`: it goes with its namespace, in the kernel's own time, instead of
// holding up whoever closes the descriptor.
static inline int ctlab_leave_tun_to_namespace(int fd) { return ioctl(fd, TUNSETPERSIST, 1UL); }

// A netlink socket of `protocol`, bound to an address of the kernel's choice.
static inline int ctlab_netlink_socket(int protocol) {
    return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
}

static inline int ctlab_netlink_bind(int fd) {
    struct sockaddr_nl address;
    memset(&address, 0, sizeof address);
    address.nl_family = AF_NETLINK;
    return bind(fd, (struct sockaddr *)&address, sizeof address);
}

static inline int ctlab_netlink_join(int fd, int group) {
    return setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group);
}

// Beyond net.core.rmem_max, which needs CAP_NET_ADMIN.
static inline int ctlab_force_receive_buffer(int fd, int byteCount) {
    return setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &byteCount, sizeof byteCount);
}

static inline ssize_t ctlab_netlink_send(int fd, const void *bytes, size_t byteCount) {
    struct sockaddr_nl kernel;
    memset(&kernel, 0, sizeof kernel);
    kernel.nl_family = AF_NETLINK;
    return sendto(fd, bytes, byteCount, 0, (struct sockaddr *)&kernel, sizeof kernel);
}

// A file without a name, gone with its last descriptor.
static inline int ctlab_memory_file(const char *label) {
    return (int)syscall(SYS_memfd_create, label, MFD_CLOEXEC);
}

// A mounted file system of `kind` that stands nowhere in the tree: its root's descriptor. It goes
// with its last descriptor. The numbers are the kernel's; <linux/mount.h> and glibc's own header do
// not go together.
static inline int ctlab_mount_detached(const char *kind) {
    int context = (int)syscall(430 /* fsopen */, kind, 1 /* FSOPEN_CLOEXEC */);
    if (context < 0) return -1;
    int mounted = -1;
    if (syscall(431 /* fsconfig */, context, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0) == 0)
        mounted = (int)syscall(432 /* fsmount */, context, 1 /* FSMOUNT_CLOEXEC */, 0);
    int code = errno;
    close(context);
    errno = code;
    return mounted;
}
#endif
