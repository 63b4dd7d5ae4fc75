/* TFTP clients (RFC 1350, 2347, 2348, 2349, 7440), thousands in one process.
 *
 * Each client has an address of its own (127.64.0.0 and up, the loopback has them all), so a few sockets serve all of them: the local
 * address of a datagram says whose it is, and each system call carries up to BATCH datagrams. Every block is compared with the file.
 * Loss is by chance and seeded: a lost datagram is one that was received and not looked at, or not sent. So it counts datagrams, also
 * where a server hands a window to the kernel as one. */

#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RRQ = 1, DATA = 3, ACK = 4, ERROR = 5, OACK = 6 };
enum { BATCH = 64, PACKET = 600 };

struct client {
    uint32_t address;      /* network order; 0: this host's */
    const char *name;
    uint16_t tid;          /* the server's port, network order; 0: not known yet */
    uint16_t socket;
    uint64_t block;        /* the last one received in order */
    uint64_t bytes;
    uint32_t in_window;
    uint32_t tries;
    const struct tftp_manner *manner;
    uint32_t blksize, windowsize; /* granted */
    bool running, finished, complained, probing;
    double began_at, due_at;
    struct client *later, *sooner; /* by due_at: all time-outs are equal, so the list is in order */
};

struct port {
    int fd;
    unsigned queued;
    struct mmsghdr out[BATCH];
    struct iovec out_data[BATCH];
    struct sockaddr_in to[BATCH];
    char out_control[BATCH][CMSG_SPACE(sizeof(struct in_pktinfo))];
    uint8_t packet[BATCH][PACKET];
};

static struct {
    struct sockaddr_in server;
    struct expected expected; /* without data: nothing is compared, and the end is the first short block */
    struct client *clients, **by_address;
    struct port *ports;
    unsigned client_count, port_count, most_tries, table_mask;
    struct tftp_manner manner;
    bool own_ports; /* each client has a socket, instead of an address */
    double timeout_s, loss;
    struct chance chance;
    int epoll;
    unsigned under_way;
    double *times;
    size_t done, failed, mismatches, errors, retransmits, duplicates, gaps, foreign, blocks, sent, received, unsent, bytes;
    char first_error[128];
    struct client list; /* later: who is due first */
} all;

/* Where batches of datagrams arrive: one such area, used by one socket at a time. */
static struct {
    struct mmsghdr in[BATCH];
    struct iovec data[BATCH];
    struct sockaddr_in from[BATCH];
    char control[BATCH][CMSG_SPACE(sizeof(struct in_pktinfo))];
    uint8_t *buffers;
    size_t size;
} inbox;

void (*tftp_ended)(unsigned client, const char *wrong, double now);

/* Where a client stands in the table of addresses, or could. */
static struct client **place_of(uint32_t address)
{
    uint32_t at = address * 2654435761u >> 7;
    while (all.by_address[at & all.table_mask] && all.by_address[at & all.table_mask]->address != address)
        at++;
    return all.by_address + (at & all.table_mask);
}

static void unlist(struct client *client)
{
    if (!client->later)
        return;
    client->later->sooner = client->sooner;
    client->sooner->later = client->later;
    client->later = NULL;
}

static void due(struct client *client, double at)
{
    unlist(client);
    client->due_at = at;
    client->later = &all.list;
    client->sooner = all.list.sooner;
    client->sooner->later = client;
    all.list.sooner = client;
}

static void flush(struct port *port)
{
    unsigned at = 0;
    while (at < port->queued) {
        int sent = sendmmsg(port->fd, port->out + at, port->queued - at, 0);
        if (sent < 0) {
            all.unsent++;
            sent = 1; /* refused: to the server it looks like a lost one */
        } else
            all.sent += sent;
        at += sent;
    }
    port->queued = 0;
}

static uint8_t *packet_for(struct client *client, size_t size)
{
    struct port *port = all.ports + client->socket;
    if (port->queued == BATCH)
        flush(port);
    unsigned at = port->queued++;
    port->to[at].sin_port = client->tid ? client->tid : all.server.sin_port;
    port->out_data[at].iov_len = size;
    struct in_pktinfo *info = (void *)CMSG_DATA((struct cmsghdr *)port->out_control[at]);
    info->ipi_spec_dst.s_addr = client->address;
    return port->packet[at];
}

static void say_ack(struct client *client)
{
    if (happens(&all.chance, all.loss))
        return;
    uint8_t *packet = packet_for(client, 4);
    packet[0] = 0;
    packet[1] = ACK;
    packet[2] = client->block >> 8;
    packet[3] = client->block;
}

static void say_request(struct client *client)
{
    char text[PACKET] = { 0, RRQ };
    size_t at = 2;
    at += sprintf(text + at, "%s", client->name) + 1;
    at += sprintf(text + at, "octet") + 1;
    if (client->probing || !client->manner->probes) {
        at += sprintf(text + at, "tsize") + 1;
        at += sprintf(text + at, "0") + 1;
    }
    at += sprintf(text + at, "blksize") + 1;
    at += sprintf(text + at, "%u", client->manner->blksize) + 1;
    if (client->manner->windowsize > 1) {
        at += sprintf(text + at, "windowsize") + 1;
        at += sprintf(text + at, "%u", client->manner->windowsize) + 1;
    }
    if (!happens(&all.chance, all.loss))
        memcpy(packet_for(client, at), text, at);
}

static void request(struct client *client, unsigned turn, bool probing, double now)
{
    struct client kept = *client;
    unlist(client);
    *client = (struct client){
        .address = kept.address, .name = kept.name, .manner = kept.manner, .began_at = kept.began_at, .probing = probing,
    };
    client->blksize = 512; /* until an OACK says otherwise */
    client->windowsize = 1;
    client->socket = ((size_t)(client - all.clients) + (all.own_ports ? 0 : turn)) % all.port_count;
    client->running = true;
    say_request(client);
    due(client, now + all.timeout_s);
}

static void begin(struct client *client, unsigned turn, double now)
{
    client->began_at = now;
    all.under_way++;
    request(client, turn, client->manner->probes, now);
}

/* The size is known: that transfer is stopped, and the file is read from a port of its own. */
static void probed(struct client *client, double now)
{
    static const uint8_t stop[] = "\0\5\0\10User aborted the transfer";
    memcpy(packet_for(client, sizeof stop), stop, sizeof stop);
    request(client, 1, false, now);
}

static void finish(struct client *client, const char *wrong, double now)
{
    unlist(client);
    client->running = false;
    client->finished = !wrong;
    all.under_way--;
    if (!wrong)
        all.times[all.done++] = now - client->began_at;
    else
        all.failed++;
    if (tftp_ended)
        tftp_ended(client - all.clients, wrong, now);
}

static void complain(struct client *client, const char *text, double now)
{
    if (!*all.first_error)
        snprintf(all.first_error, sizeof all.first_error, "%s", text);
    finish(client, text, now);
}

static void take_oack(struct client *client, const uint8_t *packet, size_t size, double now)
{
    if (client->block)
        return; /* an old one, said again */
    uint8_t text[PACKET];
    if (size >= sizeof text)
        return complain(client, "an OACK longer than the request", now);
    memcpy(text, packet, size);
    text[size] = 0;
    for (size_t at = 2; at < size;) {
        const char *name = (char *)text + at;
        at += strlen(name) + 1;
        if (at >= size)
            return complain(client, "an option without a value", now);
        unsigned long value = strtoul((char *)text + at, NULL, 10);
        at += strlen((char *)text + at) + 1;
        if (!strcasecmp(name, "blksize") && value <= client->manner->blksize)
            client->blksize = value;
        else if (!strcasecmp(name, "windowsize") && value <= client->manner->windowsize && value)
            client->windowsize = value;
        else if (!strcasecmp(name, "tsize") && all.expected.data && value != all.expected.size)
            return complain(client, "tsize is wrong", now);
    }
    if (client->probing)
        return probed(client, now);
    say_ack(client);
    due(client, now + all.timeout_s);
}

static void take_data(struct client *client, const uint8_t *packet, size_t size, double now)
{
    uint16_t number = packet[2] << 8 | packet[3];
    if (number != (uint16_t)(client->block + 1)) {
        int16_t ahead = number - (uint16_t)client->block;
        if (ahead <= 0) {
            all.duplicates++;
            if (!ahead)
                say_ack(client); /* our ACK was lost */
            return;
        }
        all.gaps++;
        if (!client->complained) { /* once, until the gap is closed (RFC 7440 §4) */
            client->complained = true;
            client->in_window = 0;
            say_ack(client);
        }
        return;
    }
    size_t length = size - 4, at = client->bytes;
    if (length > client->blksize
        || (all.expected.data && (at + length > all.expected.size || memcmp(packet + 4, all.expected.data + at, length)))) {
        all.mismatches++;
        return complain(client, "content differs from the file", now);
    }
    client->block++;
    client->bytes += length;
    client->complained = false;
    client->tries = 0;
    all.blocks++;
    all.bytes += length;
    bool last = length < client->blksize;
    if (last || ++client->in_window >= client->windowsize) {
        client->in_window = 0;
        say_ack(client);
    }
    if (!last)
        return due(client, now + all.timeout_s);
    if (!all.expected.data || client->bytes == all.expected.size)
        return finish(client, NULL, now);
    all.mismatches++;
    complain(client, "the file is too short", now);
}

static void take(const uint8_t *packet, size_t size, const struct sockaddr_in *from, uint32_t local, unsigned socket, double now)
{
    all.received++;
    if (happens(&all.chance, all.loss))
        return;
    struct client *client = all.own_ports ? all.clients + socket : *place_of(local);
    if (!client || size < 4 || packet[0] || client->socket != socket
        || from->sin_addr.s_addr != all.server.sin_addr.s_addr || (client->tid && client->tid != from->sin_port)) {
        all.foreign++;
        return;
    }
    if (!client->running) {
        if (client->finished && packet[1] == DATA) {
            all.duplicates++;
            if ((uint16_t)client->block == (packet[2] << 8 | packet[3]))
                say_ack(client); /* dallying: the last ACK was lost (RFC 1350 §6) */
        }
        return;
    }
    client->tid = from->sin_port;
    if (packet[1] == DATA)
        take_data(client, packet, size, now);
    else if (packet[1] == OACK)
        take_oack(client, packet, size, now);
    else if (packet[1] == ERROR) {
        char text[100];
        all.errors++;
        snprintf(text, sizeof text, "ERROR %u %.*s", packet[2] << 8 | packet[3], (int)(size - 4 < 80 ? size - 4 : 80), packet + 4);
        complain(client, text, now);
    }
}

static void receive(unsigned socket)
{
    struct port *port = all.ports + socket;
    int count;
    do {
        for (int i = 0; i < BATCH; i++) {
            inbox.in[i].msg_hdr.msg_namelen = sizeof *inbox.from;
            inbox.in[i].msg_hdr.msg_controllen = sizeof *inbox.control;
        }
        count = recvmmsg(port->fd, inbox.in, BATCH, MSG_DONTWAIT, NULL);
        double now = count > 0 ? now_s() : 0;
        for (int i = 0; i < count; i++) {
            struct cmsghdr *control = CMSG_FIRSTHDR(&inbox.in[i].msg_hdr);
            if (control && control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
                struct in_pktinfo *info = (void *)CMSG_DATA(control);
                take(inbox.data[i].iov_base, inbox.in[i].msg_len, inbox.from + i, info->ipi_addr.s_addr, socket, now);
            }
        }
        flush(port);
    } while (count == BATCH);
}

static void flush_all(void)
{
    for (unsigned i = 0; i < all.port_count; i++)
        if (all.ports[i].queued)
            flush(all.ports + i);
}

/* Whoever has waited too long says the last thing again. */
static void time_out(double now)
{
    struct client *client;
    while ((client = all.list.later) != &all.list && client->due_at <= now) {
        if (++client->tries > all.most_tries) {
            complain(client, client->tid ? "the server fell silent" : "no answer", now);
            continue;
        }
        all.retransmits++;
        client->in_window = 0;
        client->complained = false;
        if (client->tid)
            say_ack(client);
        else
            say_request(client);
        due(client, now + all.timeout_s);
    }
    flush_all();
}

static void turn_until_quiet(double until)
{
    struct epoll_event ready[64];
    while (all.under_way) {
        double now = now_s(), pause = all.list.later->due_at - now;
        if (now > until)
            while (all.list.later != &all.list)
                complain(all.list.later, "out of time", now);
        int count = epoll_wait(all.epoll, ready, 64, pause > 0 ? pause * 1000 + 1 : 0);
        for (int i = 0; i < count; i++)
            receive(ready[i].data.u32);
        flush_all();
        now = now_s();
        if (all.list.later != &all.list && all.list.later->due_at <= now)
            time_out(now);
    }
}

static void port_open(unsigned index)
{
    struct port *port = all.ports + index;
    struct sockaddr_in any = { .sin_family = AF_INET };
    int on = 1;
    port->fd = receive_buffer(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), 4 << 20);
    if (port->fd < 0 || setsockopt(port->fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on)
        || bind(port->fd, (struct sockaddr *)&any, sizeof any))
        die("cannot open a socket: %s", strerror(errno));
    for (int i = 0; i < BATCH; i++) {
        struct cmsghdr *control = (void *)port->out_control[i];
        control->cmsg_level = IPPROTO_IP;
        control->cmsg_type = IP_PKTINFO;
        control->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
        port->to[i] = all.server;
        port->out_data[i].iov_base = port->packet[i];
        port->out[i].msg_hdr = (struct msghdr){ .msg_name = port->to + i, .msg_namelen = sizeof *port->to,
            .msg_iov = port->out_data + i, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof port->out_control[i] };
    }
    struct epoll_event event = { .events = EPOLLIN, .data.u32 = index };
    epoll_ctl(all.epoll, EPOLL_CTL_ADD, port->fd, &event);
}

static void inbox_make(void)
{
    inbox.size = all.manner.blksize + 4 + 1; /* one more than there may be, to see what is too long */
    if (inbox.size < PACKET)
        inbox.size = PACKET;
    inbox.buffers = malloc(BATCH * inbox.size);
    for (int i = 0; i < BATCH; i++) {
        inbox.data[i] = (struct iovec){ inbox.buffers + i * inbox.size, inbox.size };
        inbox.in[i].msg_hdr = (struct msghdr){ .msg_name = inbox.from + i, .msg_iov = inbox.data + i, .msg_iovlen = 1,
            .msg_control = inbox.control[i] };
    }
}

static unsigned lost_to_us(void)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < all.port_count; i++)
        sum += overflowed(all.ports[i].fd);
    return sum;
}

/* Sockets for so many clients, and what they receive with. */
static void open_all(unsigned per_socket, size_t times)
{
    all.port_count = (all.client_count + per_socket - 1) / per_socket;
    if (all.port_count == 1 && !all.own_ports)
        all.port_count = 2; /* the next transfer of a client comes from another port */
    for (all.table_mask = 1; all.table_mask < 4 * all.client_count; all.table_mask *= 2)
        ;
    all.by_address = calloc(all.table_mask--, sizeof *all.by_address);
    all.clients = calloc(all.client_count, sizeof *all.clients);
    all.ports = calloc(all.port_count, sizeof *all.ports);
    all.times = calloc(times, sizeof *all.times);
    all.epoll = epoll_create1(EPOLL_CLOEXEC);
    all.list.later = all.list.sooner = &all.list;
    for (unsigned i = 0; i < all.port_count; i++)
        port_open(i);
    inbox_make();
}

void tftp_open(struct sockaddr_in server, unsigned clients, bool own_ports)
{
    all.server = server;
    all.client_count = clients;
    all.own_ports = own_ports;
    all.manner.blksize = 1468;
    all.manner.windowsize = 1;
    all.timeout_s = 1;
    all.most_tries = 10;
    open_all(own_ports ? 1 : 32, clients);
}

void tftp_fetch(unsigned index, uint32_t address, const char *name, const struct tftp_manner *manner, double now)
{
    struct client *client = all.clients + index;
    client->name = name;
    client->manner = manner;
    client->address = all.own_ports ? 0 : address;
    if (!all.own_ports)
        *place_of(address) = client;
    begin(client, 0, now);
    flush_all();
}

int tftp_fd(void) { return all.epoll; }
size_t tftp_retransmits(void) { return all.retransmits; }
size_t tftp_bytes(void) { return all.bytes; }
size_t tftp_blocks(void) { return all.blocks; }

void tftp_turn(double now)
{
    struct epoll_event ready[64];
    int count = epoll_wait(all.epoll, ready, 64, 0);
    for (int i = 0; i < count; i++)
        receive(ready[i].data.u32);
    flush_all();
    if (all.list.later != &all.list && all.list.later->due_at <= now)
        time_out(now);
}

int tftp_main(void)
{
    all.server = endpoint(option_text("server", NULL), 69);
    const char *name = option_text("name", NULL);
    all.expected = expect_file(option_text("expect", NULL));
    all.client_count = option_number("clients", 1);
    unsigned waves = option_number("waves", 1);
    all.manner.blksize = option_number("blksize", 1428);
    all.manner.windowsize = option_number("windowsize", 1);
    all.timeout_s = option_number("timeout", 0.4);
    all.most_tries = option_number("tries", 50);
    all.loss = option_number("loss", 0);
    all.chance.state = option_number("seed", 1);
    uint32_t base = ntohl(endpoint(option_text("base", "127.64.0.1"), 0).sin_addr.s_addr);
    unsigned per_socket = option_number("per-socket", 32);
    double limit_s = option_number("limit", 300);
    options_done();
    if (!all.client_count || !waves || !per_socket || strlen(name) > 400)
        die("nothing to do");

    open_all(per_socket, (size_t)all.client_count * waves);
    for (unsigned i = 0; i < all.client_count; i++) {
        struct client *client = all.clients + i;
        client->address = htonl(base + i);
        client->name = name;
        client->manner = &all.manner;
        *place_of(client->address) = client;
    }

    double began_at = now_s(), cpu_before = cpu_s();
    for (unsigned wave = 0; wave < waves; wave++) {
        double now = now_s();
        for (unsigned i = 0; i < all.client_count; i++)
            begin(all.clients + i, wave, now);
        flush_all();
        turn_until_quiet(began_at + limit_s);
    }
    double wall_s = now_s() - began_at, used_s = cpu_s() - cpu_before;
    printf("{\"wall_s\": %.6f, \"load_cpu_s\": %.6f, \"bytes\": %zu, \"blocks\": %zu, \"complete\": %zu, \"failed\": %zu, ", wall_s,
           used_s, all.bytes, all.blocks, all.done, all.failed);
    printf("\"retransmits\": %zu, \"duplicates\": %zu, \"gaps\": %zu, \"errors\": %zu, \"mismatches\": %zu, \"foreign\": %zu, ",
           all.retransmits, all.duplicates, all.gaps, all.errors, all.mismatches, all.foreign);
    printf("\"sent\": %zu, \"received\": %zu, \"unsent\": %zu, \"overflowed\": %u, ", all.sent, all.received, all.unsent, lost_to_us());
    times_print("times_s", all.times, all.done);
    printf("\"first_error\": ");
    json_text(all.first_error);
    puts("}");
    return all.failed ? 1 : 0;
}
