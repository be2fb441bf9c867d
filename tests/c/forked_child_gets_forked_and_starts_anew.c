/* A server forks: in the child old handles say FORKED and new ones work; the parent notices nothing. */
#include "story.h"

static void in_the_child(apertis_client *client, apertis_stream *stream, apertis_queue *queue) {
    apertis_client *own;
    apertis_request *request = story_request("say=from%20the%20child", "Hello");
    apertis_stream *started = (apertis_stream *)&started;
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    const apertis_event *event = NULL;
    story_tally *tally;

    alarm(30);
    CHECK_STATUS(apertis_client_start(client, request, &started, &error), APERTIS_ERROR_FORKED);
    CHECK(started == NULL);
    CHECK_STATUS(apertis_error_status(error), APERTIS_ERROR_FORKED);
    CHECK(apertis_error_message(error) != NULL);
    apertis_error_free(error);
    error = NULL;
    CHECK_STATUS(apertis_client_chat(client, request, &response, NULL), APERTIS_ERROR_FORKED);
    CHECK_STATUS(apertis_stream_next(stream, -1, &event), APERTIS_ERROR_FORKED);
    CHECK_STATUS(apertis_stream_wait(stream, -1, &response, NULL), APERTIS_ERROR_FORKED);
    CHECK_STATUS(apertis_queue_next(queue, -1, &event), APERTIS_ERROR_FORKED);
    apertis_stream_cancel(stream);                              /* must not reach the parent's */
    apertis_stream_free(stream);
    apertis_queue_free(queue);
    apertis_client_free(client);

    own = story_client();
    response = story_chat(own, "say=from%20the%20child");
    CHECK_TEXT(apertis_response_text(response, NULL), "from the child");
    apertis_response_free(response);
    queue = story_queue(APERTIS_DELIVER_THREAD);
    tally = story_tally_new();
    CHECK_OK(apertis_client_start_on(own, request, queue, story_on_event, tally, story_on_drop, NULL, &error), error);
    story_await_drop(tally);
    CHECK_TEXT(tally->text, "from the child");
    apertis_queue_free(queue);
    apertis_request_free(request);
    apertis_client_free(own);
    CHECK_STATUS(apertis_shutdown(10000), APERTIS_OK);
    CHECK_SOON(story_thread_count() == 1);
}

static void fork_once(apertis_client *client, apertis_stream *stream, apertis_queue *queue) {
    int status = 0;
    pid_t child;
    fflush(NULL);
    story_sleep_ms(50);                 /* between two deltas: ASan's allocator does not survive a fork while another thread is in it */
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        in_the_child(client, stream, queue);
        _exit(0);
    }
    while (waitpid(child, &status, 0) < 0) CHECK(errno == EINTR);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
}

int main(void) {
    apertis_client *client;
    apertis_stream *stream;
    apertis_queue *queue;
    const apertis_event *event = NULL;
    story_tally *tally;

    story_begin();
    client = story_client();
    queue = story_queue(APERTIS_DELIVER_PULL);
    tally = story_tally_new();
    stream = story_start(client, "say=the%20parent%20speaks%20on%20and%20on;deltas=7;pace_ms=100");
    CHECK_STATUS(apertis_stream_next(stream, -1, &event), APERTIS_OK);
    story_tally_add(tally, event);
    fork_once(client, stream, queue);
    CHECK_STATUS(story_pull(stream, tally), APERTIS_OK);        /* not cancelled, not garbled */
    CHECK_TEXT(tally->text, "the parent speaks on and on");
    apertis_stream_free(stream);
    story_tally_free(tally);

    /* Again, with a parent that has shut down and begun anew. */
    apertis_client_free(client);
    CHECK_STATUS(apertis_shutdown(10000), APERTIS_OK);
    client = story_client();
    stream = story_start(client, "say=Hi");
    fork_once(client, stream, queue);
    CHECK_STATUS(apertis_stream_wait(stream, -1, NULL, NULL), APERTIS_OK);
    apertis_stream_free(stream);
    apertis_queue_free(queue);
    apertis_client_free(client);
    CHECK_STATUS(apertis_shutdown(10000), APERTIS_OK);

    /* And a fork before anything was started is nothing special. */
    {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            client = story_client();
            apertis_response_free(story_chat(client, "say=Hi"));
            _exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    return story_end();
}
