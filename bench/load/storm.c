/* A rack that is switched on: each machine gets a lease, its loader by TFTP (or HTTP), a boot script, kernel and initrd, its answer file by
 * HTTP over one connection, and reports the end.
 *
 * What to load is what the server says: the loader is named by the ACK, kernel, initrd and answer file by the script (iPXE's words), the
 * report's place by the answer file. DHCP goes through a relay, as a server sees a large rack. Bodies that say nothing are dropped by the
 * kernel (MSG_TRUNC). */

#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum stage { LEASE, LOADER, SCRIPT, KERNEL, INITRD, ANSWER, REPORT, DONE, FAILED };
enum { TEXT = 8192, PATH = 240, FILE_AT = 108, FILE_SIZE = 128, YIADDR = 16, OPTIONS = 240, TRIES = 5 };
enum { DHCP_FD = -1, TFTP_FD = -2 };

static const char *const stages[] = { "lease", "loader", "script", "kernel", "initrd", "answer", "report" };

/* How they read: iPXE, in the ROMs of BIOS machines, block by block; EDK2 (PxeBcMtftp.c) asks for the size, then in windows of four. */
static const struct kind { const char *name, *vendor; uint16_t arch; struct tftp_manner tftp; } kinds[] = {
    { "bios", "PXEClient:Arch:00000:UNDI:002001", 0, { 1432, 1, false } },
    { "uefi", "PXEClient:Arch:00007:UNDI:003000", 7, { 1468, 4, true } },
    { "http", "HTTPClient:Arch:00016:UNDI:003000", 16, { 0 } },
};
enum { KINDS = sizeof kinds / sizeof *kinds };

struct machine {
    const struct kind *kind;
    enum stage stage;
    int fd;
    uint32_t address;
    unsigned tries;
    size_t have, length, body; /* of the text; of the answer under way: in all, and so far */
    bool in_body, fresh;       /* fresh: nothing was asked on this connection before */
    double on_at, heard_at, again_at, kernel_at;
    char paths[REPORT + 1][PATH];
    char text[TEXT];
};

static struct {
    struct sockaddr_in http;
    const char *host;
    struct machine *machines;
    unsigned count, begun, under_way, complete, failed, retries;
    bool own_address;
    int epoll;
    double patience_s;
    size_t bytes;
    double *kernel_s, *whole_s;
    unsigned failed_at[REPORT + 1];
    char first_error[160];
} all;

static void end(struct machine *machine, const char *wrong, double now)
{
    if (machine->fd >= 0)
        close(machine->fd);
    machine->fd = -1;
    all.under_way--;
    if (!wrong) {
        machine->stage = DONE;
        all.kernel_s[all.complete] = machine->kernel_at - machine->on_at;
        all.whole_s[all.complete++] = now - machine->on_at;
        return;
    }
    if (!*all.first_error)
        snprintf(all.first_error, sizeof all.first_error, "%s: %s", stages[machine->stage], wrong);
    all.failed_at[machine->stage]++;
    all.failed++;
    machine->stage = FAILED;
}

/* The path of a URL, or of a name that is relative to the server; false: it is too long. */
static bool path_of(char *path, const char *word, size_t size)
{
    const char *scheme = memmem(word, size, "://", 3), *stop = word + size;
    if (scheme) {
        word = memchr(scheme + 3, '/', stop - scheme - 3);
        word = word ? word : stop;
    }
    return snprintf(path, PATH, "%s%.*s", word < stop && *word == '/' ? "" : "/", (int)(stop - word), word) < PATH;
}

/* The word of a text that follows `before` at the beginning of a line, or anywhere; options of iPXE (--name x) are passed over. */
static size_t word_after(const char *text, const char *before, bool line, const char **word)
{
    const char *at = text;
    while ((at = strstr(at, before)) && line && at != text && at[-1] != '\n')
        at++;
    if (!at)
        return 0;
    at += strlen(before);
    while (!strncmp(at, "--", 2)) {
        for (int words = strchr(at, '=') && strchr(at, '=') < at + strcspn(at, " ") ? 1 : 2; words; words--) {
            at += strcspn(at, " ");
            at += strspn(at, " ");
        }
    }
    *word = at;
    return strcspn(at, " \t\r\n'\"");
}

static const char *read_script(struct machine *machine)
{
    static const struct { enum stage stage; const char *before; bool line; } rows[]
        = { { KERNEL, "kernel ", true }, { INITRD, "initrd ", true }, { ANSWER, "inst.ks=", false } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *word;
        size_t size = word_after(machine->text, rows[i].before, rows[i].line, &word);
        if (!size)
            return rows[i].stage == ANSWER ? "the script's kernel has no inst.ks" : "the script names no kernel or no initrd";
        if (!path_of(machine->paths[rows[i].stage], word, size))
            return "a name that is too long";
    }
    return NULL;
}

static void ask(struct machine *machine, double now)
{
    char request[2 * PATH + 200];
    machine->in_body = false;
    machine->have = machine->body = machine->length = 0;
    machine->heard_at = now;
    if (machine->fd < 0) {
        int on = 1;
        struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr.s_addr = all.own_address ? 0 : machine->address };
        struct epoll_event event = { .events = EPOLLIN, .data.u64 = machine - all.machines };
        machine->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (machine->fd < 0 || bind(machine->fd, (struct sockaddr *)&own, sizeof own)
            || (connect(machine->fd, (struct sockaddr *)&all.http, sizeof all.http) && errno != EINPROGRESS))
            return end(machine, strerror(errno), now);
        setsockopt(machine->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        event.events = EPOLLOUT;
        epoll_ctl(all.epoll, EPOLL_CTL_ADD, machine->fd, &event);
        machine->fresh = true;
        return; /* asked once it is connected */
    }
    int size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: load\r\nAccept: */*\r\n\r\n",
                        machine->paths[machine->stage], all.host);
    if (send(machine->fd, request, size, MSG_NOSIGNAL) != size)
        machine->heard_at = now - all.patience_s; /* taken for silence, and tried again */
}

/* Not now: again in a second, by a new connection. */
static void again(struct machine *machine, const char *why, double now)
{
    if (++machine->tries > TRIES)
        return end(machine, why, now);
    all.retries++;
    if (machine->fd >= 0)
        close(machine->fd);
    machine->fd = -1;
    machine->again_at = now + 1;
}

static void next(struct machine *machine, double now)
{
    const char *wrong = NULL, *word;
    machine->tries = 0;
    machine->text[machine->have < TEXT ? machine->have : TEXT - 1] = 0;
    if (machine->stage == SCRIPT)
        wrong = read_script(machine);
    if (machine->stage == INITRD)
        machine->kernel_at = now;
    if (machine->stage == ANSWER) {
        size_t size = 0;
        if ((word = strstr(machine->text, "/installed/")))
            size = strcspn(word, " \t\r\n'\"");
        if (!size)
            return end(machine, NULL, now); /* it does not want to be told */
        if (size >= PATH)
            wrong = "a name that is too long";
        else
            snprintf(machine->paths[REPORT], PATH, "%.*s", (int)size, word);
    }
    if (wrong)
        return end(machine, wrong, now);
    if (machine->stage++ == REPORT)
        return end(machine, NULL, now);
    ask(machine, now);
}

/* The head of an answer, once it is there whole. What is wrong with it, or NULL. */
static const char *take_head(struct machine *machine)
{
    static char told[80];
    char *end = memmem(machine->text, machine->have, "\r\n\r\n", 4);
    if (!end)
        return machine->have == TEXT ? "a head without an end" : NULL;
    *end = 0;
    char *length = strcasestr(machine->text, "\r\ncontent-length:");
    if (strncmp(machine->text, "HTTP/1.1 200 ", 13) || !length) {
        snprintf(told, sizeof told, "%.*s", (int)strcspn(machine->text, "\r\n") < 70 ? (int)strcspn(machine->text, "\r\n") : 70, machine->text);
        return told;
    }
    machine->length = strtoull(length + 17, NULL, 10);
    machine->body = machine->text + machine->have - (end + 4);
    machine->have = machine->body;
    memmove(machine->text, end + 4, machine->body);
    machine->in_body = true;
    return NULL;
}

static void heard(struct machine *machine, double now)
{
    const char *wrong = NULL;
    bool kept = machine->stage == SCRIPT || machine->stage == ANSWER || !machine->in_body;
    size_t room = TEXT - 1 - machine->have, rest = machine->length - machine->body;
    if (kept && machine->in_body && !room)
        return end(machine, "a text that is too long", now);
    ssize_t size = kept ? recv(machine->fd, machine->text + machine->have, machine->in_body && rest < room ? rest : room, MSG_DONTWAIT)
                        : recv(machine->fd, NULL, rest, MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0 && errno == EAGAIN)
        return;
    if (size <= 0)
        return again(machine, size ? strerror(errno) : "the server closed the connection", now);
    machine->heard_at = now;
    if (machine->in_body) {
        machine->body += size;
        machine->have += kept ? size : 0;
    } else {
        machine->have += size;
        wrong = take_head(machine);
    }
    if (wrong)
        return again(machine, wrong, now);
    if (machine->in_body && machine->body >= machine->length) {
        all.bytes += machine->length;
        next(machine, now);
    }
}

static void connected(struct machine *machine, double now)
{
    int error = 0;
    socklen_t size = sizeof error;
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = machine - all.machines };
    getsockopt(machine->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    machine->fresh = false;
    if (error)
        return again(machine, strerror(error), now);
    epoll_ctl(all.epoll, EPOLL_CTL_MOD, machine->fd, &event);
    ask(machine, now);
}

static uint8_t *words(unsigned index, uint8_t *at)
{
    const struct kind *kind = all.machines[index].kind;
    size_t size = strlen(kind->vendor);
    *at++ = 60, *at++ = size, memcpy(at, kind->vendor, size), at += size;
    *at++ = 93, *at++ = 2, *at++ = 0, *at++ = kind->arch;
    *at++ = 94, *at++ = 3, *at++ = 1, *at++ = 2, *at++ = 1;
    *at++ = 97, *at++ = 17, *at++ = 0, memset(at, 0x5a, 12), at += 12;
    uint32_t number = htonl(index);
    memcpy(at, &number, 4);
    return at + 4;
}

static void leased(unsigned index, const uint8_t *ack, size_t size, double now)
{
    struct machine *machine = all.machines + index;
    if (!ack)
        return end(machine, "no lease", now);
    memcpy(&machine->address, ack + YIADDR, 4);
    const char *name = (const char *)ack + FILE_AT;
    size_t length = strnlen(name, FILE_SIZE);
    for (size_t at = OPTIONS; at + 1 < size && ack[at] != 255; at += ack[at] ? 2 + ack[at + 1] : 1)
        if (ack[at] == 67 && at + 2 + ack[at + 1] <= size && !length) {
            name = (const char *)ack + at + 2;
            length = strnlen(name, ack[at + 1]);
        }
    if (!length)
        return end(machine, "the ACK names no boot file", now);
    machine->stage = LOADER;
    if (machine->kind->tftp.blksize) {
        snprintf(machine->paths[LOADER], PATH, "%.*s", (int)length, name);
        return tftp_fetch(index, machine->address, machine->paths[LOADER], &machine->kind->tftp, now);
    }
    if (!path_of(machine->paths[LOADER], name, length))
        return end(machine, "a name that is too long", now);
    ask(machine, now);
}

static void loaded(unsigned index, const char *wrong, double now)
{
    struct machine *machine = all.machines + index;
    if (wrong)
        return end(machine, wrong, now);
    machine->stage = SCRIPT;
    ask(machine, now);
}

static void read_mix(const char *text, const char *script)
{
    double shares[KINDS] = { 0 }, sum = 0, due[KINDS] = { 0 };
    char copy[200], *rest = copy, *word;
    snprintf(copy, sizeof copy, "%s", text);
    while ((word = strsep(&rest, ","))) {
        size_t kind = 0, size = strcspn(word, "=");
        while (kind < KINDS && (strlen(kinds[kind].name) != size || strncmp(kinds[kind].name, word, size)))
            kind++;
        double share = word[size] ? atof(word + size + 1) : 1;
        if (kind == KINDS || share <= 0)
            die("--mix is made of bios, uefi and http, as bios=60,uefi=40, not %s", word);
        sum += shares[kind] = share;
    }
    for (unsigned i = 0; i < all.count; i++) { /* evenly interleaved */
        size_t most = 0;
        for (size_t kind = 0; kind < KINDS; kind++) {
            due[kind] += shares[kind] / sum;
            if (due[kind] > due[most])
                most = kind;
        }
        due[most] -= 1;
        all.machines[i] = (struct machine){ .kind = kinds + most, .fd = -1 };
        snprintf(all.machines[i].paths[SCRIPT], PATH, "%s", script);
    }
}

static void look_around(double now)
{
    for (unsigned i = 0; i < all.begun; i++) {
        struct machine *machine = all.machines + i;
        if (machine->stage < SCRIPT && !(machine->stage == LOADER && !machine->kind->tftp.blksize))
            continue;
        if (machine->stage >= DONE)
            continue;
        if (machine->fd < 0 ? machine->again_at <= now : machine->heard_at + all.patience_s < now) {
            if (machine->fd < 0)
                ask(machine, now);
            else
                again(machine, "the server fell silent", now);
        }
    }
}

static void print_each(const char *name, const double *times, size_t count)
{
    printf("\"%s\": [", name);
    for (size_t i = 0; i < count; i++)
        printf("%s%.4f", i ? ", " : "", times[i]);
    printf("], ");
}

static void report(double wall_s, double used_s)
{
    printf("{\"wall_s\": %.6f, \"load_cpu_s\": %.6f, \"bytes\": %zu, \"blocks\": %zu, \"complete\": %u, \"failed\": %u, ", wall_s, used_s,
           all.bytes + tftp_bytes(), tftp_blocks(), all.complete, all.failed);
    printf("\"retransmits\": %zu, \"tried_again\": {\"dhcp\": %zu, \"tftp\": %zu, \"http\": %u}, ",
           dhcp_retransmits() + tftp_retransmits() + all.retries, dhcp_retransmits(), tftp_retransmits(), all.retries);
    printf("\"naks\": %zu, \"failed_at\": {", dhcp_naks());
    for (int stage = LEASE; stage <= REPORT; stage++)
        printf("\"%s\": %u%s", stages[stage], all.failed_at[stage], stage < REPORT ? ", " : "}, ");
    times_print("kernel_s", all.kernel_s, all.complete);
    times_print("whole_s", all.whole_s, all.complete);
    print_each("each_kernel_s", all.kernel_s, all.complete);
    printf("\"first_error\": ");
    json_text(all.first_error);
    puts("}");
}

int storm_main(void)
{
    const char *server = option_text("server", NULL), *mix = option_text("mix", "bios=60,uefi=40"), *script = option_text("script", "/boot.ipxe");
    all.host = option_text("http", server);
    all.http = endpoint(all.host, 80);
    all.count = option_number("machines", 1000);
    all.own_address = option_number("own-address", 0);
    all.patience_s = option_number("timeout", 10);
    double every_s = option_number("every", 0), limit_s = option_number("limit", 300);
    struct sockaddr_in tftp = endpoint(option_text("tftp", server), 69);
    if (!all.count || all.count > 100000 || strlen(script) >= PATH)
        die("--machines is from 1 to 100000");
    all.machines = calloc(all.count, sizeof *all.machines);
    all.kernel_s = calloc(all.count, sizeof *all.kernel_s);
    all.whole_s = calloc(all.count, sizeof *all.whole_s);
    read_mix(mix, script);
    dhcp_words = words;
    dhcp_ended = leased;
    tftp_ended = loaded;
    dhcp_open(all.count);
    options_done();
    tftp_open(tftp, all.count, all.own_address);
    all.epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(all.epoll, EPOLL_CTL_ADD, dhcp_fd(), &(struct epoll_event){ .events = EPOLLIN, .data.u64 = DHCP_FD });
    epoll_ctl(all.epoll, EPOLL_CTL_ADD, tftp_fd(), &(struct epoll_event){ .events = EPOLLIN, .data.u64 = TFTP_FD });

    double began_at = now_s(), cpu_before = cpu_s(), now = began_at, looked_at = 0;
    all.under_way = all.count;
    while (all.under_way) {
        struct epoll_event ready[128];
        while (all.begun < all.count && began_at + all.begun * every_s <= now) {
            all.machines[all.begun].on_at = now;
            dhcp_begin(all.begun++, now);
            if (all.begun % 64 == 0 || all.begun == all.count)
                dhcp_turn(now);
        }
        int events = epoll_wait(all.epoll, ready, 128, 5);
        now = now_s();
        for (int i = 0; i < events; i++) {
            struct machine *machine = all.machines + ready[i].data.u64;
            if (ready[i].data.u64 == (uint64_t)DHCP_FD)
                dhcp_turn(now);
            else if (ready[i].data.u64 == (uint64_t)TFTP_FD)
                tftp_turn(now);
            else if (machine->fd >= 0 && machine->fresh)
                connected(machine, now);
            else if (machine->fd >= 0)
                heard(machine, now);
        }
        if (now > looked_at + 0.05) {
            looked_at = now;
            dhcp_turn(now);
            tftp_turn(now);
            look_around(now);
        }
        if (now > began_at + limit_s)
            for (unsigned i = 0; i < all.count; i++)
                if (all.machines[i].stage < DONE)
                    end(all.machines + i, "out of time", now);
    }
    report(now - began_at, cpu_s() - cpu_before);
    return all.failed ? 1 : 0;
}
