// The far end for HTTP clients: answers every request with two bytes and closes the connection, as
// `ctlab sink` does when it is told to. What is measured is the clients; this is only fast enough.
//
//     respond PORT
#define _GNU_SOURCE
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char answer[] =
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

static void die(const char *what) {
    perror(what);
    exit(1);
}

int main(int count, char **words) {
    if (count != 2) return 2;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    struct sockaddr_in name = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[1]))};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&name, sizeof name) != 0) die("bind");
    if (listen(listener, 65535) != 0) die("listen");
    int epoll = epoll_create1(0);
    struct epoll_event event = {EPOLLIN, {.fd = listener}}, ready[512];
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0) die("epoll");
    for (;;) {
        int events = epoll_wait(epoll, ready, 512, -1);
        for (int i = 0; i < events; i++) {
            if (ready[i].data.fd == listener) {
                for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
                    event = (struct epoll_event){EPOLLIN | EPOLLRDHUP, {.fd = fd}};
                    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) close(fd);
                }
                continue;
            }
            // A request of these clients comes in one piece.
            char request[4096];
            ssize_t length = recv(ready[i].data.fd, request, sizeof request, 0);
            if (length > 0) send(ready[i].data.fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
            close(ready[i].data.fd);
        }
    }
}
