/* Loading the library and setting everything up starts nothing; the first stream does. */
#include "story.h"

int main(void) {
    apertis_client *client;
    apertis_queue *queue;
    apertis_request *request;
    apertis_stream *stream;
    const char *body = NULL;
    int files;

    story_begin();
    CHECK_INT(story_thread_count(), 1);
    files = story_fd_count();
    CHECK(apertis_version_number() > 0);
    CHECK(apertis_version_string() != NULL);
    CHECK_INT(apertis_version_number(), APERTIS_VERSION_NUMBER);
    CHECK_INT(story_fd_count(), files);
    client = story_client();
    request = story_request("say=Hi", "Hello");
    queue = story_queue(APERTIS_DELIVER_PULL);
    CHECK_STATUS(apertis_client_preview(client, request, &body, NULL, NULL), APERTIS_OK);
    CHECK_INT(apertis_queue_pump(queue, 0), APERTIS_ERROR_INVALID_ARGUMENT);
    CHECK_INT(story_thread_count(), 1);
    apertis_request_free(request);
    apertis_queue_free(queue);
    CHECK_STATUS(apertis_shutdown(1000), APERTIS_OK);           /* of nothing */
    apertis_client_free(client);

    client = story_client();
    stream = story_start(client, "say=Hi;pace_ms=100;deltas=2");
    CHECK(story_thread_count() > 1);
    CHECK(story_thread_count() <= 4);
    apertis_stream_free(stream);
    apertis_client_free(client);
    CHECK_STATUS(apertis_shutdown(5000), APERTIS_OK);
    CHECK_SOON(story_thread_count() == 1);
    return story_end();
}
