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

/* DHCP clients that somebody else drives: machines from 0 on begin at once, and each is told of when it has its ACK. */
extern uint8_t *(*dhcp_words)(unsigned machine, uint8_t *at); /* more options; gives where they end */
extern void (*dhcp_ended)(unsigned machine, const uint8_t *ack, size_t size, double now); /* ack NULL: it gave up */
void dhcp_open(unsigned machines);
void dhcp_begin(unsigned machine, double now);
int dhcp_fd(void);
void dhcp_turn(double now);
size_t dhcp_retransmits(void), dhcp_naks(void);

/* TFTP clients that somebody else drives. Client n reads from its own address, or (address 0) from this host's by a port of its own. */
extern void (*tftp_ended)(unsigned client, const char *wrong, double now); /* wrong NULL: the file is whole */
struct tftp_manner { unsigned blksize, windowsize; bool probes; }; /* what a client asks for; probes: for the size first, as EDK2 does */
void tftp_open(struct sockaddr_in server, unsigned clients, bool own_ports);
void tftp_fetch(unsigned client, uint32_t address, const char *name, const struct tftp_manner *manner, double now);
int tftp_fd(void); /* an epoll */
void tftp_turn(double now);
size_t tftp_retransmits(void), tftp_bytes(void), tftp_blocks(void);

int storm_main(void);
int tftp_main(void);
int http_main(void);
int dhcp_main(void);

#endif
