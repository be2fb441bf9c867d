/*
 * The table: what may go wrong, and what the caller sees of it.
 *
 * Every fault is tried in three formats, streamed and in one piece, by a blocking call, by pulling, by pumping and by a
 * thread. Two attempts are allowed, so that a fault which another attempt may cure costs two, and all others one.
 * BOTH: a stream and an answer in one piece end alike.
 */
#include "fault.h"

#define E(name) APERTIS_ERROR_##name
#define BOTH(...) { __VA_ARGS__ }, { __VA_ARGS__ }
#define FINE { APERTIS_OK, 0, NULL, 0, 1, ALL, NULL }
#define FINE_AFTER_TWO { APERTIS_OK, 0, NULL, 0, 2, ALL, NULL }
/* An error status is tried again where another attempt may cure it. */
#define REFUSED(status, http, code) BOTH(E(status), http, code, 0, 1, NOTHING, NULL)
#define TRIED_AGAIN(status, http, code) BOTH(E(status), http, code, 1, 2, NOTHING, NULL)
#define BUSY BOTH(E(RATE_LIMITED), 429, "rate_limit_exceeded", 1, 2, NOTHING, NULL)
#define BUSY_FOR_LONG BOTH(E(RATE_LIMITED), 429, "rate_limit_exceeded", 1, 1, NOTHING, NULL)
/* A connection that broke: before any delta it is tried again, behind one the part is handed over. */
#define BROKEN(status, http) { E(status), http, NULL, 1, 2, NOTHING, NULL }
#define PART(status, text) { E(status), 200, NULL, 1, 1, text, NULL }
#define LATE(http, text, attempts, says) { E(TIMED_OUT), http, NULL, 1, attempts, text, says }

const fault faults[] = {
    /* ---- nothing is wrong ---- */
    { .name = "nothing", "", FINE, FINE },
    { .name = "nothing, in gzip", "gzip=1", FINE, FINE },
    { .name = "nothing, seven bytes at a time", "chunk=7;length=0", FINE, FINE },
    { .name = "nothing, with a Content-Length", "length=1", FINE, FINE },
    { .name = "JSON where a stream was asked, called a stream", "json=1;content_type=text/event-stream", FINE, FINE },
    { .name = "a stream where JSON was asked", "sse=1", FINE, FINE, .only = 2 },
    { .name = "a stream that is called JSON", "content_type=application/json", FINE, FINE, .only = 1 },
    { .name = "a fault that passes", "status=503;times=1", FINE_AFTER_TWO, FINE_AFTER_TWO, .least = 375 },
    { .name = "a connection that is closed once", "close=head;times=1", FINE_AFTER_TWO, FINE_AFTER_TWO },

    /* ---- no connection ---- */
    { .name = "refused", "", BOTH(E(CONNECT), 0, NULL, 1, 2, NOTHING, "cannot connect"), .to = CLOSED_PORT, .least = 375 },
    { .name = "connect timeout", "", LATE(0, NOTHING, 2, "connect timeout"), LATE(0, NOTHING, 2, "connect timeout"), .to = FULL_PORT, .connect = 300, .least = 975 },

    /* ---- reset: before the headers at once on another connection, if this one was used before ---- */
    { .name = "reset while the request is read", "reset=accept", BROKEN(DISCONNECTED, 0), BROKEN(DISCONNECTED, 0) },
    { .name = "reset before the headers", "reset=head", BROKEN(DISCONNECTED, 0), BROKEN(DISCONNECTED, 0) },
    { .name = "reset after the headers", "reset=0", BROKEN(DISCONNECTED, 200), BROKEN(DISCONNECTED, 200), .least = 375 },
    { .name = "reset in a frame", "reset={FRAME}", PART(DISCONNECTED, FOUR), BROKEN(DISCONNECTED, 200) },
    { .name = "reset in a UTF-8 character", "reset={CHARACTER}", PART(DISCONNECTED, THREE), BROKEN(DISCONNECTED, 200) },
    { .name = "reset in a gzip block", "gzip=1;length=0;reset={GZIP}", PART(DISCONNECTED, THREE), BROKEN(DISCONNECTED, 200) },
    { .name = "reset in a chunk header", "length=0;reset={CHUNK}", PART(DISCONNECTED, THREE), BROKEN(DISCONNECTED, 200) },

    /* ---- closed ---- */
    { .name = "closed before the headers", "close=head", BROKEN(DISCONNECTED, 0), BROKEN(DISCONNECTED, 0) },
    { .name = "closed after the headers", "close=0", BROKEN(TRUNCATED, 200), BROKEN(TRUNCATED, 200), .least = 375 },
    { .name = "closed in a frame", "close={FRAME}", PART(TRUNCATED, FOUR), BROKEN(TRUNCATED, 200) },
    { .name = "closed in a UTF-8 character", "close={CHARACTER}", PART(TRUNCATED, THREE), BROKEN(TRUNCATED, 200) },
    { .name = "closed in a gzip block", "gzip=1;length=0;close={GZIP}", PART(TRUNCATED, THREE), BROKEN(TRUNCATED, 200) },
    { .name = "closed in a chunk header", "length=0;close={CHUNK}", PART(TRUNCATED, THREE), BROKEN(TRUNCATED, 200) },
    { .name = "a stream that just ends", "finish=none", { E(TRUNCATED), 200, NULL, 0, 1, ALL, NULL }, FINE, .only = 1 },

    /* ---- silence, and each timeout ---- */
    { .name = "stalled before the headers: first event", "stall=head", LATE(0, NOTHING, 2, "first-event timeout"), LATE(0, NOTHING, 2, "first-event timeout"), .first_event = 300, .least = 975 },
    { .name = "stalled before the first event: first event", "stall=0", LATE(200, NOTHING, 2, "first-event timeout"), LATE(200, NOTHING, 2, "first-event timeout"), .first_event = 1500, .least = 3375 },
    { .name = "stalled before the first event: idle", "stall=0", LATE(200, NOTHING, 2, "idle timeout"), LATE(200, NOTHING, 2, "idle timeout"), .idle = 1000, .least = 2375 },
    { .name = "keep-alives and no event: first event", "body=: ping%0A%0A;body_repeat=1000000;chunk=8;gap_ms=20", LATE(200, NOTHING, 2, "first-event timeout"), LATE(200, NOTHING, 2, "first-event timeout"), .first_event = 1500, .least = 3375, .only = 1 },
    { .name = "stalled in a frame: idle", "stall={FRAME}", LATE(200, FOUR, 1, "idle timeout"), LATE(200, NOTHING, 2, "idle timeout"), .idle = 1500, .least = 1500 },
    { .name = "stalled in a UTF-8 character: idle", "stall={CHARACTER}", LATE(200, THREE, 1, "idle timeout"), LATE(200, NOTHING, 2, "idle timeout"), .idle = 1500, .least = 1500 },
    { .name = "stalled in a gzip block: idle", "gzip=1;length=0;stall={GZIP}", LATE(200, THREE, 1, "idle timeout"), LATE(200, NOTHING, 2, "idle timeout"), .idle = 1500, .least = 1500 },
    { .name = "stalled in a frame: total", "stall={FRAME}", LATE(ANY, FOUR, 1, "total timeout"), LATE(ANY, NOTHING, 1, "total timeout"), .total = 1500, .least = 1500 },
    { .name = "stalled before the headers: total", "stall=head", LATE(0, NOTHING, 1, "total timeout"), LATE(0, NOTHING, 1, "total timeout"), .total = 500, .least = 500 },
    { .name = "a wait before the next attempt: total", "status=503;retry_after=60", LATE(ANY, NOTHING, 1, "total timeout"), LATE(ANY, NOTHING, 1, "total timeout"), .total = 1500, .least = 1500 },
    { .name = "an error whose body stalls: idle", "status=400;stall=20", { E(BAD_REQUEST), 400, NULL, 0, 1, NOTHING, NULL }, { E(BAD_REQUEST), 400, NULL, 0, 1, NOTHING, NULL }, .idle = 1000, .least = 1000 },

    /* ---- statuses ---- */
    { .name = "400", "status=400", REFUSED(BAD_REQUEST, 400, "invalid_request") },
    { .name = "401", "status=401", REFUSED(AUTHENTICATION, 401, "invalid_api_key") },
    { .name = "402", "status=402", REFUSED(QUOTA, 402, "quota_exceeded") },
    { .name = "403", "status=403", REFUSED(PERMISSION, 403, "access_denied") },
    { .name = "403 of the CDN, plain text", "status=403;content_type=text/plain;body=error code: 1010", BOTH(E(PERMISSION), 403, NULL, 0, 1, NOTHING, "user agent") },
    { .name = "404", "status=404", REFUSED(NOT_FOUND, 404, "endpoint_not_found") },
    { .name = "408", "status=408", TRIED_AGAIN(TIMED_OUT, 408, "request_timeout"), .least = 375 },
    { .name = "409", "status=409", TRIED_AGAIN(BAD_REQUEST, 409, NULL), .least = 375 },
    { .name = "413", "status=413", REFUSED(BAD_REQUEST, 413, NULL) },
    { .name = "422", "status=422", REFUSED(BAD_REQUEST, 422, NULL) },
    { .name = "429 without Retry-After", "status=429", BUSY, .least = 375 },
    { .name = "429, Retry-After in seconds", "status=429;retry_after=1", BUSY, .least = 1000, .retry_after = 1000 },
    { .name = "429, Retry-After in parts of a second", "status=429;retry_after=0.6", BUSY, .least = 600, .retry_after = 600 },
    { .name = "429, Retry-After in milliseconds", "status=429;retry_after_ms=700", BUSY, .least = 700, .retry_after = 700 },
    { .name = "429, Retry-After in both: milliseconds count", "status=429;retry_after_ms=600;retry_after=60", BUSY, .least = 600, .retry_after = 600 },
    { .name = "429, Retry-After as a date", "status=429;retry_after={DATE}", BUSY, .least = 1000, .retry_after = ANY },
    { .name = "429, Retry-After as a date that is over", "status=429;retry_after=Sun, 06 Nov 1994 08:49:37 GMT", BUSY, .least = 375 },
    { .name = "429, Retry-After negative", "status=429;retry_after=-5", BUSY, .least = 375 },
    { .name = "429, Retry-After zero", "status=429;retry_after=0", BUSY, .least = 375 },
    { .name = "429, Retry-After in words", "status=429;retry_after=soon", BUSY, .least = 375 },
    { .name = "429, Retry-After of an hour", "status=429;retry_after=3600", BUSY_FOR_LONG, .retry_after = 3600000 },
    { .name = "429, Retry-After absurd", "status=429;retry_after=1e999", BUSY_FOR_LONG, .retry_after = FOREVER },
    { .name = "429, x-should-retry: false", "status=429;should_retry=false", BOTH(E(RATE_LIMITED), 429, "rate_limit_exceeded", 0, 1, NOTHING, NULL) },
    { .name = "429, insufficient_quota", "status=429;retry_after=1;error=insufficient_quota::You have none left", BOTH(E(QUOTA), 429, "insufficient_quota", 0, 1, NOTHING, "none left"), .retry_after = 1000 },
    { .name = "500", "status=500", TRIED_AGAIN(SERVER, 500, "internal_error"), .least = 375 },
    { .name = "502, HTML", "status=502;content_type=text/html;body=<html><body>Bad gateway</body></html>", TRIED_AGAIN(SERVER, 502, NULL), .least = 375 },
    { .name = "502, no body", "status=502;body=", TRIED_AGAIN(SERVER, 502, NULL), .least = 375 },
    { .name = "503", "status=503", TRIED_AGAIN(OVERLOADED, 503, "service_unavailable"), .least = 375 },
    { .name = "504", "status=504", TRIED_AGAIN(TIMED_OUT, 504, "internal_error"), .least = 375 },
    { .name = "529", "status=529", TRIED_AGAIN(OVERLOADED, 529, "model_overloaded"), .least = 375 },
    { .name = "an error whose body is cut", "status=500;close=20", TRIED_AGAIN(SERVER, 500, NULL), .least = 375 },

    /* ---- errors inside a 200 ---- */
    { .name = "an error as the first event", "error_after=0;error=model_overloaded:overloaded_error:Busy", { E(OVERLOADED), 200, "model_overloaded", 1, 2, NOTHING, "Busy" }, { E(OVERLOADED), 500, "model_overloaded", 1, 2, NOTHING, "Busy" }, .least = 375 },
    { .name = "an error behind three deltas", "error_after=3;error=internal_error:api_error:Oops", { E(SERVER), 200, "internal_error", 1, 1, THREE, "Oops" }, { E(SERVER), 500, "internal_error", 1, 2, NOTHING, "Oops" } },
    { .name = "an error in the place of the end", "error_after=99;error=rate_limit_exceeded:rate_limit_error:Slow", { E(RATE_LIMITED), 200, "rate_limit_exceeded", 1, 1, ALL, "Slow" }, { E(SERVER), 500, "rate_limit_exceeded", 1, 2, NOTHING, "Slow" } },
    { .name = "quota as the first event", "error_after=0;error=insufficient_quota:insufficient_quota:None left", { E(QUOTA), 200, "insufficient_quota", 0, 1, NOTHING, "None left" }, { E(SERVER), 500, "insufficient_quota", 0, 1, NOTHING, "None left" }, .only = 1 },
    { .name = "an error as the whole 200", "status=200;error=model_not_found:invalid_request_error:Which", { E(NOT_FOUND), 200, "model_not_found", 0, 1, NOTHING, "Which" }, { E(NOT_FOUND), 200, "model_not_found", 0, 1, NOTHING, "Which" } },

    /* ---- answers that are none ---- */
    { .name = "an empty body", "body=", BOTH(E(TRUNCATED), 200, NULL, 0, 1, NOTHING, "empty") },
    { .name = "a little whitespace", "body=%20%0A%20", BOTH(E(TRUNCATED), 200, NULL, 0, 1, NOTHING, "empty") },
    { .name = "garbage", "body=%07%01garbage%7F{]}%00", BOTH(E(PROTOCOL), 200, NULL, 0, 1, NOTHING, NULL) },
    { .name = "HTML with 200", "content_type=text/html;body=<html>Log in first</html>", BOTH(E(PROTOCOL), 200, NULL, 0, 1, NOTHING, NULL) },
    { .name = "an event that is no JSON", "body=data: {nope%0A%0A", BOTH(E(PROTOCOL), 200, NULL, 0, 1, NOTHING, NULL) },
    { .name = "JSON of something else", "content_type=application/json;body={\"hello\":[1,2,3]}", BOTH(E(PROTOCOL), 200, NULL, 0, 1, NOTHING, NULL) },
    { .name = "JSON that is cut", "content_type=application/json;body={\"choices\":[{\"mess", BOTH(E(PROTOCOL), 200, NULL, 0, 1, NOTHING, NULL) },
    { .name = "gzip that is none", "header=content-encoding:gzip", BOTH(E(PROTOCOL), 200, NULL, 0, 1, NOTHING, "decoded") },
    { .name = "no HTTP at all", "ssh", BOTH(E(PROTOCOL), 0, NULL, 0, 1, NOTHING, NULL), .to = NO_HTTP },
    { .name = "a chunk size that is no number", "chunk-size", BOTH(E(PROTOCOL), 200, NULL, 0, 1, NOTHING, NULL), .to = RAW_SERVER },
    { .name = "a head that never ends", "endless-head", BOTH(E(PROTOCOL), 0, NULL, 0, 1, NOTHING, NULL), .to = NO_HTTP },
    { .name = "text that is no UTF-8", "latin-1", BOTH(APERTIS_OK, 0, NULL, 0, 1, "caf\xEF\xBF\xBD", NULL), .to = RAW_SERVER, .formats = CHAT_COMPLETIONS },

    /* ---- bodies that lie about their length ---- */
    { .name = "a body shorter than it claims", "length=100000", FINE, BROKEN(TRUNCATED, 200) },
    { .name = "a body longer than it claims", "length={BODY};keep_alive=0", { E(TRUNCATED), 200, NULL, 0, 1, FOUR, NULL }, { E(PROTOCOL), 200, NULL, 0, 1, NOTHING, NULL } },

    /* ---- redirects ---- */
    { .name = "a redirect to another host", "redirect={BASE2}/chat/completions", BOTH(E(PROTOCOL), 307, NULL, 0, 1, NOTHING, "redirects") },
    { .name = "a redirect on the same host", "redirect=/v1/elsewhere{PATH};times=1", FINE, FINE, .requests = 2 },
    { .name = "redirects in a circle", "redirect=/v1/elsewhere{PATH}", BOTH(E(PROTOCOL), 307, NULL, 0, 1, NOTHING, NULL), .requests = 6 },

    /* ---- too much: once for each format, streamed by pulling and whole by the blocking call ---- */
    { .name = "a line that never ends", "body=data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx;body_repeat=1000000", BOTH(E(TOO_LARGE), 200, NULL, 0, 1, NOTHING, NULL), .once = 1 },
    { .name = "an event that never ends", "body=data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx%0A;body_repeat=1000000", BOTH(E(TOO_LARGE), 200, NULL, 0, 1, NOTHING, NULL), .once = 1 },
    { .name = "a GiB of blanks", "body=%20;body_repeat=1073741824", BOTH(E(TOO_LARGE), 200, NULL, 0, 1, NOTHING, NULL), .once = 1 },
    { .name = "a GiB of blank lines", "{BLANKS}", BOTH(E(TOO_LARGE), 200, NULL, 0, 1, NOTHING, NULL), .once = 1 },
    { .name = "an error with a GiB of blanks", "status=400;body=%20;body_repeat=1073741824", BOTH(E(BAD_REQUEST), 400, NULL, 0, 1, NOTHING, NULL), .once = 1 },
    { .name = "nesting 100,000 deep", "body=[;body_repeat=100000", BOTH(E(PROTOCOL), 200, NULL, 0, 1, NOTHING, NULL) },
    { .name = "nesting 100,000 deep in an event", "{DEEP EVENT}", BOTH(E(PROTOCOL), 200, NULL, 0, 1, NOTHING, NULL), .once = 1 },
    { .name = "nesting 100,000 deep in an error", "status=400;body=[;body_repeat=100000", BOTH(E(BAD_REQUEST), 400, NULL, 0, 1, NOTHING, NULL) },
    { .name = "nesting 100,000 deep in arguments", "{DEEP TOOL}", { APERTIS_OK, 0, NULL, 0, 1, ALL, NULL }, { APERTIS_OK, 0, NULL, 0, 1, ALL, NULL }, .once = 1, .calls = 1 },
    { .name = "10,000 tool calls", "{TOOLS}", { APERTIS_OK, 0, NULL, 0, 1, ALL, NULL }, { APERTIS_OK, 0, NULL, 0, 1, ALL, NULL }, .once = 1, .calls = 10000 },
};
const size_t fault_count = sizeof faults / sizeof *faults;
