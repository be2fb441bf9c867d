/* A hundred times an editor reloads: start, talk, shut down; threads and descriptors are always back where they were. */
#include "story.h"

#define ROUNDS 100

static void talk(int round) {
    apertis_client *client = story_client();
    apertis_stream *stream = story_start(client, "say=Hi%20there;deltas=2");
    story_tally *tally = story_tally_new();
    if (round % 2) {
        CHECK_STATUS(story_pull(stream, tally), APERTIS_OK);
        CHECK_TEXT(tally->text, "Hi there");
    }
    if (round % 3) {
        apertis_queue *queue = story_queue(round % 3 == 1 ? APERTIS_DELIVER_THREAD : APERTIS_DELIVER_PULL);
        apertis_request *request = story_request("say=Hi", "Hello");
        story_tally *on_queue = story_tally_new();
        CHECK(round % 5 || apertis_queue_handle(queue) != 0);
        CHECK_STATUS(apertis_client_start_on(client, request, queue, story_on_event, on_queue, story_on_drop, NULL, NULL), APERTIS_OK);
        if (round % 3 == 1) story_await_drop(on_queue);
        apertis_request_free(request);
        apertis_queue_free(queue);
        CHECK_INT(story_drops(on_queue), 1);
        story_tally_free(on_queue);
    }
    if (round % 4) apertis_stream_free(stream);                 /* one in four is left to the shutdown */
    if (round % 4) apertis_client_free(client);
    CHECK_STATUS(apertis_shutdown(10000), APERTIS_OK);
    if (round % 4 == 0) {
        apertis_stream_free(stream);
        apertis_client_free(client);
    }
    story_tally_free(tally);
}

int main(void) {
    int threads, files, round;
    story_begin();
    CHECK_STATUS(apertis_shutdown(1000), APERTIS_OK);           /* nothing runs yet: fine */
    threads = story_thread_count();
    CHECK_INT(threads, 1);
    talk(0);
    files = story_fd_count();
    for (round = 1; round < ROUNDS; round++) {
        talk(round);
        CHECK_SOON(story_thread_count() == threads);
    }
    CHECK_SOON(story_fd_count() <= files);
    CHECK_STATUS(apertis_shutdown(1000), APERTIS_OK);           /* twice: fine */
    CHECK_STATUS(apertis_shutdown(0), APERTIS_OK);
    return story_end();
}
