/* HTTP clients (RFC 9112) over a few connections that are kept: a request, its answer whole, the next request.
 *
 * The first answer of each connection is compared with the file from end to end; of the later ones status, length and the bytes that came
 * with the head are, and the rest is dropped by the kernel (MSG_TRUNC), which copies nothing. */

#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD = 8192, CHUNK = 1 << 18 };

struct connection {
    int fd;
    bool in_body, compared;    /* compared: one answer has been, whole */
    size_t have, body, length; /* bytes in head; of the body so far, and in all */
    double began_at, heard_at;
    char head[HEAD];
};

static struct {
    struct sockaddr_in server;
    struct expected expected;
    struct connection *connections;
    char request[512], chunk[CHUNK];
    size_t request_size, head_size, wanted, begun, complete, failed, bytes;
    unsigned under_way;
    int epoll;
    double *times;
    char first_error[128];
} all;

static void fail(struct connection *connection, const char *text)
{
    if (!*all.first_error)
        snprintf(all.first_error, sizeof all.first_error, "%s", text);
    close(connection->fd);
    connection->fd = -1;
    all.failed++;
    all.under_way--;
}

static void ask(struct connection *connection, double now)
{
    if (all.begun == all.wanted) {
        epoll_ctl(all.epoll, EPOLL_CTL_DEL, connection->fd, NULL);
        all.under_way--;
        return;
    }
    all.begun++;
    connection->in_body = false;
    connection->have = connection->body = connection->length = 0;
    connection->began_at = connection->heard_at = now;
    if (send(connection->fd, all.request, all.request_size, MSG_NOSIGNAL) != (ssize_t)all.request_size)
        fail(connection, "the connection does not take a request");
}

static bool same(struct connection *connection, const char *data, size_t size)
{
    return connection->body + size <= all.expected.size && !memcmp(data, all.expected.data + connection->body, size);
}

/* The head, once it is there whole: 200, and the file's length. What is wrong with it, or NULL. */
static const char *take_head(struct connection *connection)
{
    char *head = connection->head, *end = memmem(head, connection->have, "\r\n\r\n", 4);
    if (!end)
        return connection->have == HEAD ? "a head without an end" : NULL;
    *end = 0;
    if (strncmp(head, "HTTP/1.1 200 ", 13))
        return "no 200";
    if (strcasestr(head, "\r\nconnection: close"))
        return "the connection is not kept";
    char *length = strcasestr(head, "\r\ncontent-length:");
    if (!length || (connection->length = strtoull(length + 17, NULL, 10)) != all.expected.size)
        return "the length is not the file's";
    size_t body = head + connection->have - (end + 4);
    if (!same(connection, end + 4, body))
        return "content differs from the file";
    connection->in_body = true;
    connection->body = body;
    return NULL;
}

static void take(struct connection *connection, double now)
{
    ssize_t size;
    const char *wrong = NULL;
    connection->heard_at = now;
    if (!connection->in_body) {
        size = recv(connection->fd, connection->head + connection->have, all.head_size - connection->have, MSG_DONTWAIT);
        if (size > 0) {
            connection->have += size;
            wrong = take_head(connection);
        }
    } else {
        size_t rest = connection->length - connection->body;
        if (connection->compared)
            size = recv(connection->fd, NULL, rest, MSG_DONTWAIT | MSG_TRUNC);
        else {
            size = recv(connection->fd, all.chunk, rest < CHUNK ? rest : CHUNK, MSG_DONTWAIT);
            if (size > 0 && !same(connection, all.chunk, size))
                wrong = "content differs from the file";
        }
        if (size > 0)
            connection->body += size;
    }
    if (size < 0 && errno == EAGAIN)
        return;
    if (size <= 0 || wrong)
        return fail(connection, wrong ? wrong : "the server closed the connection");
    if (!connection->in_body || connection->body < connection->length)
        return;
    connection->compared = true;
    all.bytes += connection->length;
    all.times[all.complete++] = now - connection->began_at;
    ask(connection, now);
}

static void open_one(struct connection *connection, unsigned index)
{
    int on = 1;
    struct epoll_event event = { .events = EPOLLIN, .data.u32 = index };
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0 || connect(connection->fd, (struct sockaddr *)&all.server, sizeof all.server))
        die("cannot connect: %s", strerror(errno));
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_ctl(all.epoll, EPOLL_CTL_ADD, connection->fd, &event);
}

int http_main(void)
{
    const char *address = option_text("server", NULL);
    all.server = endpoint(address, 80);
    all.request_size = snprintf(all.request, sizeof all.request, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: load\r\nAccept: */*\r\n\r\n",
                                option_text("path", NULL), address);
    all.expected = expect_file(option_text("expect", NULL));
    unsigned count = option_number("connections", 8);
    all.wanted = option_number("requests", 1);
    double pause_us = option_number("pause-us", 0);
    double patience_s = option_number("timeout", 10), limit_s = option_number("limit", 300);
    options_done();
    if (!count || !all.wanted || all.request_size >= sizeof all.request)
        die("nothing to do");
    all.head_size = all.expected.size <= HEAD / 2 ? HEAD : HEAD / 4; /* a small file comes with its head, of a large one little is copied */
    all.connections = calloc(count, sizeof *all.connections);
    all.times = calloc(all.wanted, sizeof *all.times);
    all.epoll = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned i = 0; i < count; i++)
        open_one(all.connections + i, i);

    prctl(PR_SET_TIMERSLACK, 1);

    double began_at = now_s(), cpu_before = cpu_s(), now = began_at;
    all.under_way = count;
    for (unsigned i = 0; i < count; i++)
        ask(all.connections + i, now);
    while (all.under_way) {
        struct epoll_event ready[64];
        if (pause_us)
            nanosleep(&(struct timespec){ .tv_nsec = pause_us * 1000 }, NULL); /* several answers a call; the server has the others' requests */
        int events = epoll_wait(all.epoll, ready, 64, 1000);
        now = now_s();
        for (int i = 0; i < events; i++)
            if (all.connections[ready[i].data.u32].fd >= 0)
                take(all.connections + ready[i].data.u32, now);
        for (unsigned i = 0; events <= 0 && i < count; i++) {
            struct connection *each = all.connections + i;
            if (each->fd >= 0 && each->heard_at + patience_s < now && (all.begun < all.wanted || each->body < each->length || !each->in_body))
                fail(each, "the server fell silent");
        }
        if (now > began_at + limit_s)
            die("out of time: %zu of %zu answers", all.complete, all.wanted);
    }
    printf("{\"wall_s\": %.6f, \"load_cpu_s\": %.6f, \"bytes\": %zu, \"blocks\": 0, \"complete\": %zu, ", now - began_at, cpu_s() - cpu_before,
           all.bytes, all.complete);
    printf("\"failed\": %zu, \"retransmits\": 0, ", all.failed + (all.wanted - all.begun));
    times_print("times_s", all.times, all.complete);
    printf("\"first_error\": ");
    json_text(all.first_error);
    puts("}");
    return all.failed ? 1 : 0;
}
