/* The load generator of the benchmarks: `load tftp|http|dhcp|storm --option value ...`; prints one JSON object.
 * It is not what is measured, so it must cost little: system calls in batches, no allocation per packet. */

#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct { char *name, *value; bool used; } given[64];
static int given_count;

void options_set(int argc, char **argv)
{
    for (int i = 0; i < argc; i += 2) {
        if (strncmp(argv[i], "--", 2) || i + 1 >= argc || given_count == 64)
            die("options are --name value pairs, not %s", argv[i]);
        given[given_count].name = argv[i] + 2;
        given[given_count++].value = argv[i + 1];
    }
}

const char *option_text(const char *name, const char *otherwise)
{
    for (int i = 0; i < given_count; i++)
        if (!strcmp(given[i].name, name)) {
            given[i].used = true;
            return given[i].value;
        }
    if (!otherwise)
        die("--%s is needed", name);
    return otherwise;
}

double option_number(const char *name, double otherwise)
{
    char *end;
    const char *text = option_text(name, "");
    if (!*text)
        return otherwise;
    double value = strtod(text, &end);
    if (*end)
        die("--%s %s is no number", name, text);
    return value;
}

void options_done(void)
{
    for (int i = 0; i < given_count; i++)
        if (!given[i].used)
            die("there is no option --%s here", given[i].name);
}

struct sockaddr_in endpoint(const char *text, int port)
{
    char address[64];
    snprintf(address, sizeof address, "%s", text);
    char *colon = strchr(address, ':');
    if (colon) {
        *colon = 0;
        port = atoi(colon + 1);
    }
    struct sockaddr_in found = { .sin_family = AF_INET, .sin_port = htons(port) };
    if (inet_pton(AF_INET, address, &found.sin_addr) != 1)
        die("%s is no IPv4 address", text);
    return found;
}

double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

double cpu_s(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return used.tv_sec + used.tv_nsec * 1e-9;
}

/* splitmix64 */
uint64_t chance_next(struct chance *chance)
{
    uint64_t z = chance->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

bool happens(struct chance *chance, double share)
{
    return share > 0 && (chance_next(chance) >> 11) * 0x1p-53 < share;
}

struct expected expect_file(const char *path)
{
    struct expected expected = { 0 };
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status))
        die("cannot read %s", path);
    expected.size = status.st_size;
    if (expected.size) {
        expected.data = mmap(NULL, expected.size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
        if (expected.data == MAP_FAILED)
            die("cannot map %s", path);
    }
    close(fd);
    return expected;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double quantile(const double *sorted, size_t count, double share)
{
    size_t at = share * count;
    return count ? sorted[at < count ? at : count - 1] : 0;
}

void times_print(const char *name, double *times, size_t count)
{
    qsort(times, count, sizeof *times, ascending);
    printf("\"%s\": {\"p50\": %.6f, \"p99\": %.6f, \"max\": %.6f}, ", name, quantile(times, count, 0.5),
           quantile(times, count, 0.99), quantile(times, count, 1));
}

void json_text(const char *text)
{
    putchar('"');
    for (; *text; text++)
        printf(*text < 32 || *text > 126 || *text == '"' || *text == '\\' ? "\\u%04x" : "%c", (uint8_t)*text);
    putchar('"');
}

void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

int receive_buffer(int fd, int bytes)
{
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes))
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    return fd;
}

unsigned overflowed(int fd)
{
    uint32_t memory[9] = { 0 };
    socklen_t length = sizeof memory;
    getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &length);
    return memory[8]; /* SK_MEMINFO_DROPS */
}

int main(int argc, char **argv)
{
    static const struct { const char *name; int (*run)(void); } modes[] = {
        { "tftp", tftp_main },
        { "http", http_main },
        { "dhcp", dhcp_main },
        { "storm", storm_main },
    };
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    for (size_t i = 0; argc > 1 && i < sizeof modes / sizeof *modes; i++)
        if (!strcmp(argv[1], modes[i].name)) {
            options_set(argc - 2, argv + 2);
            return modes[i].run();
        }
    die("usage: load MODE --option value ...");
}
