/*
 * libapertis: talk to language models from C.
 *
 * Written by cbindgen from src/ffi (`make header`): do not edit. MIT OR Apache-2.0.
 *
 * One library for three wire formats (OpenAI Chat Completions, OpenAI Responses, Anthropic Messages), of the Apertis
 * gateway or of any server that speaks one of them. A whole program, which needs APERTIS_API_KEY in its environment:
 *
 *     #include <apertis.h>
 *     #include <stdio.h>
 *     static void on_event(void *user_data, const apertis_event *event) {
 *         (void)user_data;
 *         if (apertis_event_kind_of(event) == APERTIS_EVENT_TEXT) { fputs(apertis_event_text(event, NULL), stdout); fflush(stdout); }
 *     }
 *     int main(void) {
 *         apertis_client *client; apertis_error *error;
 *         apertis_status status = apertis_client_new(NULL, &client, &error);
 *         if (status == APERTIS_OK) status = apertis_client_complete_stream(client, "Say hello.", APERTIS_NTS, on_event, NULL, NULL, &error);
 *         if (status != APERTIS_OK) fprintf(stderr, "%s\n", apertis_error_message(error));
 *         apertis_error_free(error); apertis_client_free(client); return status != APERTIS_OK; }
 *
 * OWNERSHIP. What a `_new`, `_start`, `_clone` or an out parameter hands you is yours until its `_free`. `_free` takes NULL,
 * never blocks, never fails, and may be called on any thread and inside any callback. Every other function that returns a
 * pointer lends it: until the handle it came from is changed or freed; an event's until the next pull by the same thread or
 * until the callback's return. Freeing what is only lent does nothing.
 *
 * HANDLES are tickets, not addresses: the library looks them up and never dereferences them. One that is NULL, freed, of
 * another kind, or garbage yields APERTIS_ERROR_INVALID_HANDLE (getters: NULL, 0 or -1), never a crash. Events alone are
 * addresses, since they live so shortly.
 *
 * TEXT is UTF-8. Names, URLs, ids and JSON come in as C strings. Content comes in as (data, length); the length APERTIS_NTS
 * says "it ends at its NUL". Text goes out NUL-terminated and, through `length` (may be NULL), explicitly sized, in bytes.
 * Every delta ends on a code-point boundary.
 *
 * ERRORS. 0 is success, above 0 an outcome that is no error, below 0 an error. Where the last parameter is an
 * apertis_error **, it may be NULL; otherwise it receives the details, which are yours to free, or NULL on success. Other out
 * parameters are written on success and set to NULL on failure. There is no "last error" anywhere.
 *
 * EVENTS. A stream tells: STARTED, then TEXT, REASONING and others, then END; RETRY where an attempt failed and another
 * follows. Exactly one END ends every stream that was started: on success, failure, cancellation and shutdown alike. You
 * choose how events reach you, and thereby on which thread your code runs:
 *
 *     one answer, this thread            apertis_client_chat_stream and a callback
 *     one stream, your own loop          apertis_client_start, apertis_stream_next
 *     many streams, your own loop        apertis_queue_new(PULL), apertis_client_start_on, apertis_queue_next
 *     many streams, once per frame       apertis_queue_new(PUMP), apertis_client_start_on, apertis_queue_pump
 *     many streams, a thread for you     apertis_queue_new(THREAD), apertis_client_start_on
 *     poll, epoll, kqueue, libuv         any queue of yours, apertis_queue_handle
 *
 * THREADS. A client, a queue and a stream may be used from any thread, by several at once. A config and a request have one
 * writer at a time. Callbacks run one after the other per queue, never on a thread of the network, never under a lock: from
 * them every function may be called, and those that would wait for themselves return APERTIS_ERROR_WOULD_DEADLOCK. The
 * library has at most two threads for any number of streams, beside one for each THREAD queue and one, for a moment, where a
 * name is looked up. The first starts with the first stream.
 *
 * LIMITS. Waiting events: 4 MiB per queue, then sockets are no longer read; nothing is dropped. One event of a provider:
 * 32 MiB. One answer: 512 MiB streamed, 128 MiB in one piece. What is more ends with APERTIS_ERROR_TOO_LARGE.
 *
 * PROCESS. No constructor, no atexit, no signal handler, nothing written to stdout or stderr. The environment is read in
 * apertis_client_new alone: APERTIS_API_KEY, APERTIS_API_BASE and the proxy variables. After a fork the child's old handles
 * give APERTIS_ERROR_FORKED, and it may make new ones. The shared library stays mapped after dlclose; call apertis_shutdown
 * before. Two copies of the static library in one program share nothing.
 */
