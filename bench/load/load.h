/* What the parts of the load generator share: options, clock, CPU time, chance, JSON, files that answers are compared with. */

#ifndef LOAD_H
#define LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Options are --name value pairs; one that nobody asked for is an error, so that a misspelled one is not lost. */
void options_set(int argc, char **argv);
const char *option_text(const char *name, const char *otherwise);
double option_number(const char *name, double otherwise);
void options_done(void);

struct sockaddr_in endpoint(const char *text, int port); /* ADDRESS[:PORT] */

double now_s(void);  /* monotonic */
double cpu_s(void);  /* user and system time of this process so far */

struct chance { uint64_t state; };
bool happens(struct chance *chance, double share);
uint64_t chance_next(struct chance *chance);

struct expected { const uint8_t *data; size_t size; };
struct expected expect_file(const char *path); /* all zeros: nothing is compared */

void times_print(const char *name, double *times, size_t count); /* "name": {p50, p99, max}, */
double quantile(const double *sorted, size_t count, double share);
void json_text(const char *text);

void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
int receive_buffer(int fd, int bytes);  /* as much as may be had */
unsigned overflowed(int fd);            /* datagrams that did not fit into the queue */

int tftp_main(void);
int http_main(void);
int dhcp_main(void);

#endif
