/* DHCP clients (RFC 2131) behind a relay: DISCOVER, OFFER, REQUEST, ACK, each time of another machine, many exchanges at once.
 *
 * All datagrams go from the relay's address and port to the server's, which is how a server sees a large network. A slot is one exchange
 * under way; when it is over, the slot's next machine begins. So the server always has as much before it as there are slots, and no more. */

#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DISCOVER = 1, OFFER = 2, REQUEST = 3, ACK = 5, NAK = 6 };
enum { BATCH = 64, SHORTEST = 300, PACKET = 450, HEARD = 1500, FIXED = 240, SPACE = 1 << 22 };
enum { XID = 4, YIADDR = 16, GIADDR = 24, CHADDR = 28 };

struct slot {
    uint32_t serial; /* the machine's number, and the xid */
    uint32_t yiaddr, server_id;
    unsigned tries;
    bool running, offered;
    double began_at, due_at;
};

static struct {
    struct sockaddr_in server, relay;
    struct slot *slots;
    unsigned slot_count, running, most_tries;
    uint32_t first;
    size_t wanted, begun, complete, failed, retransmits, naks, foreign, bytes, packets;
    double timeout_s, *times;
    int fd;
    uint8_t given[SPACE / 8]; /* addresses, by their last 22 bits: none may come twice */
    char first_error[128];
    unsigned queued;
    struct mmsghdr out[BATCH], in[BATCH];
    struct iovec out_data[BATCH], in_data[BATCH];
    uint8_t packet[BATCH][PACKET], heard[BATCH][HEARD];
} all;

uint8_t *(*dhcp_words)(unsigned machine, uint8_t *at);
void (*dhcp_ended)(unsigned machine, const uint8_t *ack, size_t size, double now);

static void flush(void)
{
    for (unsigned at = 0; at < all.queued;) {
        int sent = sendmmsg(all.fd, all.out + at, all.queued - at, 0);
        at += sent > 0 ? sent : 1; /* refused: to the server it looks like a lost one */
    }
    all.queued = 0;
}

static void say(struct slot *slot, double now)
{
    static const uint8_t asks[] = { 55, 7, 1, 28, 2, 3, 15, 6, 12 }; /* as perfdhcp does */
    if (all.queued == BATCH)
        flush();
    unsigned place = all.queued++;
    uint8_t *packet = all.packet[place], *at = packet + FIXED;
    /* Driven machines are of many makers: dnsmasq offers neighbours in number one address at once. */
    uint32_t xid = htonl(slot->serial), number = dhcp_ended ? htonl(slot->serial * 2654435761u) : xid;
    memset(packet, 0, PACKET);
    memcpy(packet, "\1\1\6\1", 4); /* BOOTREQUEST, Ethernet, one hop */
    memcpy(packet + XID, &xid, 4);
    memcpy(packet + GIADDR, &all.relay.sin_addr, 4);
    memcpy(packet + CHADDR, "\2\0", 2);
    memcpy(packet + CHADDR + 2, &number, 4);
    memcpy(packet + FIXED - 4, "\x63\x82\x53\x63", 4);
    *at++ = 53, *at++ = 1, *at++ = slot->offered ? REQUEST : DISCOVER;
    if (slot->offered) {
        *at++ = 50, *at++ = 4, memcpy(at, &slot->yiaddr, 4), at += 4;
        *at++ = 54, *at++ = 4, memcpy(at, &slot->server_id, 4), at += 4;
    }
    memcpy(at, asks, sizeof asks);
    at += sizeof asks;
    if (dhcp_words)
        at = dhcp_words(slot->serial - all.first, at);
    *at++ = 255;
    all.out_data[place].iov_len = at - packet > SHORTEST ? at - packet : SHORTEST;
    slot->due_at = now + all.timeout_s;
}

static void begin(struct slot *slot, double now)
{
    slot->running = false;
    if (dhcp_ended || all.begun == all.wanted) { /* driven by somebody else, or all have begun */
        all.running--;
        return;
    }
    all.begun++;
    *slot = (struct slot){ .serial = slot->serial + all.slot_count, .running = true, .began_at = now };
    say(slot, now);
}

static void fail(struct slot *slot, const char *text, double now)
{
    if (!*all.first_error)
        snprintf(all.first_error, sizeof all.first_error, "%s", text);
    all.failed++;
    if (dhcp_ended)
        dhcp_ended(slot->serial - all.first, NULL, 0, now);
    begin(slot, now);
}

/* Message type and server identifier out of the options; 0: there is none. */
static int type_of(const uint8_t *packet, size_t size, uint32_t *server_id)
{
    int type = 0;
    for (size_t at = FIXED; at + 1 < size && packet[at] != 255; at += packet[at] ? 2 + packet[at + 1] : 1) {
        if (packet[at] == 53 && packet[at + 1] == 1 && at + 2 < size)
            type = packet[at + 2];
        if (packet[at] == 54 && packet[at + 1] == 4 && at + 5 < size)
            memcpy(server_id, packet + at + 2, 4);
    }
    return type;
}

static void take(const uint8_t *packet, size_t size, double now)
{
    uint32_t serial, yiaddr, server_id = 0;
    int type = size > FIXED && packet[0] == 2 ? type_of(packet, size, &server_id) : 0;
    memcpy(&serial, packet + XID, 4);
    serial = ntohl(serial);
    struct slot *slot = all.slots + (serial - all.first) % all.slot_count;
    if (!type || !slot->running || slot->serial != serial || (type == OFFER) == slot->offered) {
        all.foreign++; /* an answer that came too late, or twice */
        return;
    }
    memcpy(&yiaddr, packet + YIADDR, 4);
    all.packets++;
    all.bytes += size;
    if (type == NAK && dhcp_ended && ++slot->tries <= all.most_tries) {
        slot->offered = false; /* it begins again (RFC 2131 §3.1 5), when its time is up */
        all.naks++;
        return;
    }
    if (type == NAK)
        return fail(slot, "a NAK", now);
    if (type == OFFER) {
        if (!yiaddr || !server_id)
            return fail(slot, "an OFFER without an address, or of nobody", now);
        slot->offered = true;
        if (!dhcp_ended)
            slot->tries = 0;
        slot->yiaddr = yiaddr;
        slot->server_id = server_id;
        return say(slot, now);
    }
    uint32_t number = ntohl(yiaddr) % SPACE;
    if (type != ACK || yiaddr != slot->yiaddr)
        return fail(slot, "an ACK of another address than was offered", now);
    if (all.given[number / 8] >> number % 8 & 1)
        return fail(slot, "one address for two machines", now);
    all.given[number / 8] |= 1 << number % 8;
    all.times[all.complete++] = now - slot->began_at;
    if (dhcp_ended)
        dhcp_ended(slot->serial - all.first, packet, size, now);
    begin(slot, now);
}

static void receive(void)
{
    int count;
    do {
        count = recvmmsg(all.fd, all.in, BATCH, MSG_DONTWAIT, NULL);
        double now = now_s();
        for (int i = 0; i < count; i++)
            take(all.heard[i], all.in[i].msg_len, now);
        flush();
    } while (count == BATCH);
}

static void time_out(double now)
{
    for (unsigned i = 0; i < all.slot_count; i++) {
        struct slot *slot = all.slots + i;
        if (!slot->running || slot->due_at > now)
            continue;
        if (++slot->tries > all.most_tries) {
            fail(slot, slot->offered ? "no answer to a REQUEST" : "no answer to a DISCOVER", now);
            continue;
        }
        all.retransmits++;
        say(slot, now);
    }
    flush();
}

static void open_socket(void)
{
    all.fd = receive_buffer(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), 4 << 20);
    if (all.fd < 0 || bind(all.fd, (struct sockaddr *)&all.relay, sizeof all.relay))
        die("cannot open the relay's socket: %s", strerror(errno));
    for (int i = 0; i < BATCH; i++) {
        all.out_data[i] = (struct iovec){ all.packet[i], PACKET };
        all.in_data[i] = (struct iovec){ all.heard[i], HEARD };
        all.out[i].msg_hdr = (struct msghdr){ .msg_name = &all.server, .msg_namelen = sizeof all.server, .msg_iov = all.out_data + i, .msg_iovlen = 1 };
        all.in[i].msg_hdr = (struct msghdr){ .msg_iov = all.in_data + i, .msg_iovlen = 1 };
    }
}

void dhcp_open(unsigned machines)
{
    all.server = endpoint(option_text("server", NULL), 67);
    all.relay = endpoint(option_text("relay", NULL), 67);
    all.first = option_number("first", 0);
    all.timeout_s = 1;
    all.most_tries = 20;
    all.slot_count = all.wanted = machines;
    all.slots = calloc(machines, sizeof *all.slots);
    all.times = calloc(machines, sizeof *all.times);
    open_socket();
}

void dhcp_begin(unsigned machine, double now)
{
    struct slot *slot = all.slots + machine;
    all.begun++;
    all.running++;
    *slot = (struct slot){ .serial = all.first + machine, .running = true, .began_at = now };
    say(slot, now);
}

int dhcp_fd(void) { return all.fd; }
size_t dhcp_retransmits(void) { return all.retransmits; }
size_t dhcp_naks(void) { return all.naks; }

void dhcp_turn(double now)
{
    receive();
    time_out(now);
}

int dhcp_main(void)
{
    all.server = endpoint(option_text("server", NULL), 67);
    all.relay = endpoint(option_text("relay", NULL), 67);
    all.slot_count = option_number("slots", 64);
    all.wanted = option_number("exchanges", 1);
    all.first = option_number("first", 0);
    all.timeout_s = option_number("timeout", 1);
    all.most_tries = option_number("tries", 10);
    double limit_s = option_number("limit", 300);
    options_done();
    if (!all.slot_count || !all.wanted)
        die("nothing to do");
    if (all.slot_count > all.wanted)
        all.slot_count = all.wanted;
    all.slots = calloc(all.slot_count, sizeof *all.slots);
    all.times = calloc(all.wanted, sizeof *all.times);
    open_socket();

    double began_at = now_s(), cpu_before = cpu_s(), now = began_at, looked_at = began_at;
    all.running = all.slot_count;
    for (unsigned i = 0; i < all.slot_count; i++) {
        all.slots[i].serial = all.first + i - all.slot_count;
        begin(all.slots + i, now);
    }
    flush();
    while (all.running) {
        poll(&(struct pollfd){ .fd = all.fd, .events = POLLIN }, 1, all.timeout_s < 0.1 ? 2 : 20);
        receive();
        now = now_s();
        if (now - looked_at > all.timeout_s / 8) {
            time_out(now);
            looked_at = now;
        }
        if (now > began_at + limit_s)
            die("out of time: %zu of %zu exchanges", all.complete, all.wanted);
    }
    printf("{\"wall_s\": %.6f, \"load_cpu_s\": %.6f, \"bytes\": %zu, \"blocks\": %zu, ", now_s() - began_at, cpu_s() - cpu_before, all.bytes,
           all.packets);
    printf("\"complete\": %zu, \"failed\": %zu, \"retransmits\": %zu, \"foreign\": %zu, ", all.complete, all.failed, all.retransmits, all.foreign);
    times_print("times_s", all.times, all.complete);
    printf("\"first_error\": ");
    json_text(all.first_error);
    puts("}");
    return all.failed ? 1 : 0;
}
