/* The account is empty: asking again helps nobody, so it is asked once, in whichever words the provider says it. */
#include "story.h"

int main(void) {
    static const char *const scripts[] = {
        "status=402;error=quota_exceeded:billing_error:Quota%20exceeded",
        "status=402;error=insufficient_balance:billing_error:Top%20up",
        "status=429;error=insufficient_quota:insufficient_quota:You%20exceeded%20your%20current%20quota;retry_after_ms=1",
        "status=429;error=:insufficient_quota:You%20exceeded%20your%20current%20quota;retry_after_ms=1",
        "status=400;error=bad:upstream_error:user%20quota%20is%20not%20enough%3A%20insufficient%20quota",
        "status=402;retry_after_ms=1",
    };
    apertis_client *client;
    size_t index;

    story_begin();
    client = story_retrying_client(5);
    for (index = 0; index < sizeof scripts / sizeof *scripts; index++) {
        apertis_stream *stream;
        story_tally *tally = story_tally_new();
        story_next_key();
        stream = story_start(client, scripts[index]);
        if (story_pull(stream, tally) != APERTIS_ERROR_QUOTA) story_fail(__FILE__, __LINE__, "%s: %s", scripts[index], apertis_status_name(tally->status));
        CHECK_INT(tally->kinds[APERTIS_EVENT_RETRY], 0);
        CHECK_INT(story_sent_count(), 1);
        apertis_stream_free(stream);
        story_tally_free(tally);
    }
    /* Nor is a wrong key. */
    story_next_key();
    apertis_error_free(story_chat_fails(client, "status=401;retry_after_ms=1"));
    CHECK_INT(story_sent_count(), 1);
    apertis_client_free(client);
    return story_end();
}
