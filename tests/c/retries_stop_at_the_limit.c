/* max_retries 2 means three requests and not one more, whatever goes wrong. */
#include "story.h"

static void fails(apertis_client *client, const char *script, int32_t status, size_t requests) {
    apertis_error *error;
    story_next_key();
    error = story_chat_fails(client, script);
    if ((status && apertis_error_status(error) != status) || apertis_error_attempts(error) != (int32_t)requests || story_sent_count() != requests)
        story_fail(__FILE__, __LINE__, "%s: %s after %d attempts, %lu requests seen: %s", script, apertis_status_name(apertis_error_status(error)),
                   (int)apertis_error_attempts(error), (unsigned long)story_sent_count(), apertis_error_message(error));
    apertis_error_free(error);
}

int main(void) {
    apertis_client *client;
    apertis_stream *stream;
    apertis_config *config;
    story_tally *tally;

    story_begin();
    client = story_retrying_client(2);
    fails(client, "status=500;retry_after_ms=1", APERTIS_ERROR_SERVER, 3);
    fails(client, "status=429;retry_after_ms=1", APERTIS_ERROR_RATE_LIMITED, 3);
    fails(client, "status=408;retry_after_ms=1", 0, 3);
    fails(client, "status=409;retry_after_ms=1", 0, 3);
    fails(client, "reset=head;keep_alive=0", APERTIS_ERROR_DISCONNECTED, 3);
    fails(client, "close=head;keep_alive=0", APERTIS_ERROR_DISCONNECTED, 3);
    /* These are as wrong the second time. */
    fails(client, "status=400", APERTIS_ERROR_BAD_REQUEST, 1);
    fails(client, "status=401", APERTIS_ERROR_AUTHENTICATION, 1);
    fails(client, "status=404", APERTIS_ERROR_NOT_FOUND, 1);
    /* A wait of more than two minutes is the caller's to decide about. */
    fails(client, "status=429;retry_after=121", APERTIS_ERROR_RATE_LIMITED, 1);

    story_next_key();
    tally = story_tally_new();
    stream = story_start(client, "status=503;retry_after_ms=1");
    CHECK(story_pull(stream, tally) < 0);
    CHECK_INT(tally->kinds[APERTIS_EVENT_RETRY], 2);            /* before the second and the third attempt */
    CHECK_INT(tally->kinds[APERTIS_EVENT_STARTED], 0);
    CHECK_INT(story_sent_count(), 3);
    apertis_stream_free(stream);
    story_tally_free(tally);
    apertis_client_free(client);

    client = story_retrying_client(0);
    fails(client, "status=500", APERTIS_ERROR_SERVER, 1);
    apertis_client_free(client);

    /* Nobody listens: also three attempts, and a clear word. */
    config = story_config();
    CHECK_STATUS(apertis_config_set_max_retries(config, 2), APERTIS_OK);
    CHECK_STATUS(apertis_config_set_api_base(config, "http://127.0.0.1:1/v1"), APERTIS_OK);
    client = story_client_of(config);
    {
        apertis_error *error = story_chat_fails(client, "say=Hi");
        CHECK_STATUS(apertis_error_status(error), APERTIS_ERROR_CONNECT);
        CHECK_INT(apertis_error_attempts(error), 3);
        apertis_error_free(error);
    }
    apertis_client_free(client);
    return story_end();
}
