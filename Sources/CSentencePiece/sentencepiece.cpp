#include "CSentencePiece.h"

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

struct sp_model {
    sentencepiece::SentencePieceProcessor processor;
};

static void say(char *message, const std::string &text) { std::snprintf(message, 200, "%s", text.c_str()); }

sp_model *sp_load(const uint8_t *bytes, size_t count, char *message) {
    sp_model *model = nullptr;
    try {
        model = new sp_model;
        auto status = model->processor.LoadFromSerializedProto(std::string(reinterpret_cast<const char *>(bytes), count));
        if (status.ok()) return model;
        say(message, status.ToString());
    } catch (const std::exception &error) {
        say(message, error.what());
    } catch (...) {
        say(message, "unknown failure");
    }
    delete model;
    return nullptr;
}

void sp_free(sp_model *model) { delete model; }

int sp_vocabulary(const sp_model *model) { return model->processor.GetPieceSize(); }

int sp_piece(const sp_model *model, const char *piece) {
    int id = model->processor.PieceToId(piece);
    return model->processor.IdToPiece(id) == piece ? id : -1;
}

ptrdiff_t sp_encode(const sp_model *model, const uint8_t *text, size_t count, int32_t *ids, size_t capacity) {
    try {
        std::vector<int> found;
        std::string words(reinterpret_cast<const char *>(text), count);
        if (!model->processor.Encode(words, &found).ok()) return -1;
        std::copy_n(found.begin(), std::min(capacity, found.size()), ids);
        return static_cast<ptrdiff_t>(found.size());
    } catch (...) {
        return -1;
    }
}

int sp_train(const char *arguments, char *message) {
    try {
        auto status = sentencepiece::SentencePieceTrainer::Train(std::string(arguments));
        if (status.ok()) return 0;
        say(message, status.ToString());
    } catch (const std::exception &error) {
        say(message, error.what());
    } catch (...) {
        say(message, "unknown failure");
    }
    return 1;
}
