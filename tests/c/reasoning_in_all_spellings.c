/* Four families of providers name their thoughts in four ways; the caller sees one. */
#include "story.h"

int main(void) {
    static const char *const spellings[] = { "reasoning_content", "reasoning", "thinking", "reasoning_details" };
    apertis_client *client;
    size_t index, length;

    story_begin();
    client = story_client();
    for (index = 0; index < sizeof spellings / sizeof *spellings; index++) {
        const char *script = story_format("reasoning=First%%20I%%20think;reasoning_field=%s;say=then%%20I%%20speak;deltas=3;usage=5,9,0,4", spellings[index]);
        story_tally *tally = story_tally_new();
        apertis_stream *stream = story_start(client, script);
        apertis_response *response;
        const apertis_event *event = NULL;
        int words = 0;
        while (apertis_stream_next(stream, -1, &event) == APERTIS_OK) {
            story_tally_add(tally, event);
            words |= apertis_event_kind_of(event) == APERTIS_EVENT_TEXT;
            if (apertis_event_kind_of(event) == APERTIS_EVENT_REASONING) CHECK(!words);     /* thoughts come first */
            if (apertis_event_kind_of(event) == APERTIS_EVENT_END) {
                CHECK_TEXT(apertis_response_reasoning(apertis_event_response(event), &length), "First I think");
                CHECK_INT(length, 13);
                CHECK_INT(apertis_response_usage(apertis_event_response(event), APERTIS_USAGE_REASONING), 4);
            }
        }
        CHECK_STATUS(tally->status, APERTIS_OK);
        CHECK_TEXT(tally->reasoning, "First I think");
        CHECK_TEXT(tally->text, "then I speak");
        CHECK_TEXT(tally->part, "then I speak");
        apertis_stream_free(stream);
        story_tally_free(tally);

        response = story_chat(client, script);
        CHECK_TEXT(apertis_response_reasoning(response, NULL), "First I think");
        CHECK_TEXT(apertis_response_text(response, NULL), "then I speak");
        apertis_response_free(response);
    }
    apertis_client_free(client);
    return story_end();
}
