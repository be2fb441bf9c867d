/* Each byte arrives in a packet of its own, in the middle of emoji and CJK: every delta is whole code points. */
#include "story.h"

/* Spelled in bytes: "naïve" . "日本語" . family with joiners . flag . "𠜎" . a combining accent . U+2028 . "한" */
static const char text[] = "na\xC3\xAFve \xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E \xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7 "
                           "\xF0\x9F\x87\xA8\xF0\x9F\x87\xAD \xF0\xA0\x9C\x8E e\xCC\x81 \xE2\x80\xA8 \xED\x95\x9C";

static void ask(apertis_client *client, const char *script) {
    story_tally *tally = story_tally_new();
    apertis_stream *stream = story_start(client, script);
    CHECK_STATUS(story_pull(stream, tally), APERTIS_OK);        /* the tally checks each delta */
    CHECK_TEXT(tally->text, text);
    CHECK_TEXT(tally->part, text);
    CHECK(tally->kinds[APERTIS_EVENT_TEXT] >= 1);               /* how many depends on how busy the machine is */
    apertis_stream_free(stream);
    story_tally_free(tally);
}

int main(void) {
    apertis_client *client;
    apertis_response *response;
    char *encoded;

    story_begin();
    CHECK(story_is_utf8(text, sizeof text - 1));
    CHECK(!story_is_utf8(text, 3));
    client = story_client();
    encoded = story_encode(text);
    ask(client, story_format("say=%s;deltas=24;chunk=1", encoded));
    ask(client, story_format("say=%s;deltas=1;chunk=1", encoded));
    ask(client, story_format("say=%s;deltas=24;chunk=7", encoded));
    ask(client, story_format("say=%s;deltas=6;chunk=3;gzip=1", encoded));
    ask(client, story_format("say=%s;json=1;chunk=1", encoded));     /* an unstreamed answer to a stream */

    response = story_chat(client, story_format("say=%s;chunk=1", encoded));
    CHECK_TEXT(apertis_response_text(response, NULL), text);
    apertis_response_free(response);

    /* Escapes: a surrogate pair in one delta. */
    response = story_chat(client, story_format("content_type=text/event-stream;chunk=1;body=%s", story_encode(
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\\ud83d\\ude00 \\u00e9\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")));
    CHECK_TEXT(apertis_response_text(response, NULL), "\xF0\x9F\x98\x80 \xC3\xA9");
    apertis_response_free(response);

    /* And out: what we send arrives as it was. */
    story_next_key();
    {
        apertis_request *request = story_request("say=Hi", text);
        CHECK_STATUS(apertis_client_chat(client, request, NULL, NULL), APERTIS_OK);
        CHECK_TEXT(story_sent(0, "messages/0/content"), text);
        apertis_request_free(request);
    }
    apertis_client_free(client);
    return story_end();
}
