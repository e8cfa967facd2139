-- What is for sale. Its stock is in a table of its own (0002), so that an order that takes stock never touches these
-- wide and heavily indexed rows.
CREATE TABLE products (
    id                uuid PRIMARY KEY,                     -- UUIDv7
    sku               text NOT NULL CHECK (char_length(sku) BETWEEN 1 AND 100),
    name              text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    description       text NOT NULL CHECK (char_length(description) <= 10000),
    -- Money is whole minor units of an ISO 4217 currency; that the code is a known one is the service's check.
    price_minor_units bigint NOT NULL CHECK (price_minor_units >= 0),
    currency_code     text NOT NULL CHECK (currency_code ~ '^[A-Z]{3}$'),
    category          text NOT NULL CHECK (char_length(category) <= 100),   -- '' for none
    image_url         text NOT NULL CHECK (char_length(image_url) <= 2000), -- '' for none
    version           bigint NOT NULL DEFAULT 1 CHECK (version >= 1),       -- counts changes: optimistic concurrency
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    deleted_at        timestamptz,                                          -- soft delete: orders still refer to it
    -- The order by name: without case, by code point, so that it is the same under every locale of the database.
    name_key          text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(name)) STORED,
    -- The words that a search finds, in no language in particular: runs of what is neither space nor punctuation (so
    -- ABC-123 is two words, where the parser alone would see a negative number), in lower case, without positions,
    -- since a search asks for words and not for phrases. The category is one more word; with its '=' it can't be
    -- mistaken for one of the text, and with it the one index answers "these words in this category" by itself.
    search            tsvector NOT NULL GENERATED ALWAYS AS (
        strip(to_tsvector('simple', translate(
            name || ' ' || sku || ' ' || description,
            $$!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~$$, repeat(' ', 32)
        )))
        || array_to_tsvector(ARRAY['category=' || category])
    ) STORED
);

-- Products that are deleted give their sku free.
CREATE UNIQUE INDEX products_sku_key ON products (sku) WHERE deleted_at IS NULL;

-- One index per sort, each read forwards or backwards, alone and within a category. Every one ends in the id, which
-- makes the order total, and holds all that finding a page needs: the rows themselves are read for that page only.
CREATE INDEX products_created_at_idx ON products (created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX products_price_idx ON products (price_minor_units, id) WHERE deleted_at IS NULL;
CREATE INDEX products_name_idx ON products (name_key, id) WHERE deleted_at IS NULL;
CREATE INDEX products_category_created_at_idx ON products (category, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX products_category_price_idx ON products (category, price_minor_units, id) WHERE deleted_at IS NULL;
CREATE INDEX products_category_name_idx ON products (category, name_key, id) WHERE deleted_at IS NULL;

-- Search. Without the pending list a search never has to read what updates left behind unsorted.
CREATE INDEX products_search_idx ON products USING gin (search) WITH (fastupdate = off) WHERE deleted_at IS NULL;
