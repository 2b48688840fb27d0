/*
 * The upstream behind every proxy of `npm run bench -- peers`: one thread, epoll, the same bytes for everybody. A body that
 * says "stream":true gets a hundred chunks, each in a write of its own; any other one JSON answer. For loopback alone.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNKS 100
#define CHUNK_BYTES 175
#define JSON_BYTES 1020
#define BUFFER_BYTES 65536
#define CONNECTIONS_MAX 4096

struct connection { int length; char bytes[BUFFER_BYTES + 1]; };
static struct connection *connections[CONNECTIONS_MAX];
static char json_answer[2048], chunk[512];
static int json_length, chunk_length;
static const char *stream_head =
  "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

static void prepare(void) {
  char body[JSON_BYTES + 1];
  const char *open = "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\","
    "\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"message\":{\"role\":\"assistant\",\"content\":\"";
  const char *close = "\"}}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":9,\"total_tokens\":18}}";
  int at = snprintf(body, sizeof body, "%s", open);
  while (at < JSON_BYTES - (int)strlen(close)) body[at++] = 'y';
  memcpy(body + at, close, strlen(close) + 1);
  json_length = snprintf(json_answer, sizeof json_answer,
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s", JSON_BYTES, body);
  char event[CHUNK_BYTES + 1];
  const char *begin = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\","
    "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"";
  const char *end = "\"}}]}\n\n";
  at = snprintf(event, sizeof event, "%s", begin);
  while (at < CHUNK_BYTES - (int)strlen(end)) event[at++] = 'x';
  memcpy(event + at, end, strlen(end) + 1);
  chunk_length = snprintf(chunk, sizeof chunk, "%x\r\n%s\r\n", CHUNK_BYTES, event);
}

static int send_all(int fd, const char *bytes, int length) {
  while (length > 0) {
    ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
    if (sent <= 0) return -1;
    bytes += sent;
    length -= sent;
  }
  return 0;
}

static int answer(int fd, const char *body) {
  if (strstr(body, "\"stream\":true") == NULL) return send_all(fd, json_answer, json_length);
  if (send_all(fd, stream_head, strlen(stream_head)) < 0) return -1;
  for (int i = 0; i < CHUNKS; i++) if (send_all(fd, chunk, chunk_length) < 0) return -1;
  return send_all(fd, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n", 24);
}

/* Whole requests of what was read so far, in either framing. */
static int serve(int fd, struct connection *c) {
  for (;;) {
    c->bytes[c->length] = 0;
    char *end = strstr(c->bytes, "\r\n\r\n");
    if (end == NULL) return c->length == BUFFER_BYTES ? -1 : 0;
    char *length = strcasestr(c->bytes, "content-length:");
    char *chunked = strcasestr(c->bytes, "transfer-encoding: chunked");
    int total;
    if (chunked != NULL && chunked < end) {
      char *last = strstr(end, "\r\n0\r\n\r\n");
      if (last == NULL) return 0;
      total = last + 7 - c->bytes;
    } else {
      total = end + 4 - c->bytes + (length != NULL && length < end ? atoi(length + 15) : 0);
    }
    if (total > BUFFER_BYTES) return -1;
    if (c->length < total) return 0;
    char kept = c->bytes[total];
    c->bytes[total] = 0;
    int failed = answer(fd, end);
    c->bytes[total] = kept;
    if (failed < 0) return -1;
    memmove(c->bytes, c->bytes + total, c->length - total);
    c->length -= total;
  }
}

int main(void) {
  prepare();
  int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  socklen_t size = sizeof address;
  if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 1024) < 0) return 1;
  getsockname(listener, (struct sockaddr *)&address, &size);
  printf("{\"port\":%d}\n", ntohs(address.sin_port));
  fflush(stdout);
  int poll = epoll_create1(0);
  struct epoll_event event = { .events = EPOLLIN, .data.fd = listener }, events[256];
  epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    int count = epoll_wait(poll, events, 256, -1);
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        int accepted = accept(listener, NULL, NULL);
        if (accepted < 0) continue;
        if (accepted >= CONNECTIONS_MAX) { close(accepted); continue; }
        setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        connections[accepted] = calloc(1, sizeof(struct connection));
        struct epoll_event added = { .events = EPOLLIN, .data.fd = accepted };
        epoll_ctl(poll, EPOLL_CTL_ADD, accepted, &added);
        continue;
      }
      struct connection *c = connections[fd];
      ssize_t got = recv(fd, c->bytes + c->length, BUFFER_BYTES - c->length, 0);
      if (got > 0) c->length += got;
      if (got <= 0 || serve(fd, c) < 0) {
        close(fd);
        free(c);
        connections[fd] = NULL;
      }
    }
  }
}
