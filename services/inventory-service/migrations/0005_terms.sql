-- What a search finds a product by, and what lists by price are ordered by: two columns that the database itself fills in,
-- so that rows which the version before writes have them too. Adding them writes no row; 0008 fills in those that are
-- there. They take the place of `search` and of `price_minor_units` in the indexes of lists, which a later release drops.
--
-- A search has to find what people type: beginnings of words, without accents, words with or without a blank or a hyphen
-- between them, and words of scripts that are written without blanks. All of that is decided here, by one split of text
-- into words for what is stored and for what is asked.
ALTER TABLE products ADD COLUMN terms tsvector, ADD COLUMN price_amount numeric;

-- Text as it is compared: compatibility forms are one (`ﬁ`, full-width letters), in lower case, and without accents, vowel
-- points of Hebrew and Arabic, and what has no width. Marks that make another letter, as of Japanese and Hindi, stay. Most
-- text is ASCII, of which only the case is to be changed.
CREATE FUNCTION folded_text(given text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN octet_length(given) = char_length(given) THEN lower(given COLLATE "C")
    ELSE translate(replace(replace(replace(replace(lower(normalize(
        regexp_replace(
            normalize(given, NFKD),
            '[\u0300-\u036F\u0591-\u05BD\u05BF\u05C1\u05C2\u05C4\u05C5\u05C7\u0610-\u061A\u0640\u064B-\u065F\u0670\u00AD\u200B-\u200F\u2060\uFEFF]+',
            '', 'g'
        ),
    NFC)), 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'), 'øđðłıħŧς', 'oddlihtσ') END
$$;

-- The words of a text, in its order: what stands between blanks, punctuation and symbols. A run of a script that is written
-- without blanks (Chinese, Japanese, Korean, Thai, Lao, Burmese, Khmer) is a word of its own.
CREATE FUNCTION words_of_text(given text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN octet_length(given) = char_length(given)
    THEN string_to_array(btrim(regexp_replace(lower(given COLLATE "C"), '[^a-z0-9]+', ' ', 'g')), ' ')
    ELSE array_remove(string_to_array(regexp_replace(
        regexp_replace(
            folded_text(given),
            '[\u0001-\u002F\u003A-\u0040\u005B-\u0060\u007B-\u00A9\u00AB-\u00B4\u00B6-\u00B9\u00BB-\u00BF\u00D7\u00F7\u055A-\u055F\u060C\u061B\u061F\u06D4\u0964\u0965\u2000-\u2BFF\u2E00-\u2E7F\u3000-\u3004\u3008-\u3020\u3030\u303D\u30A0\u30FB\uFE00-\uFE0F\uFF5F-\uFF65]+',
            ' ', 'g'
        ),
        '([\u0E01-\u0EDF\u1000-\u109F\u1100-\u11FF\u1780-\u17FF\u2E80-\u2FDF\u3005-\u3007\u3021-\u312F\u3131-\u318E\u31A0-\u31FF\u3400-\u4DBF\u4E00-\u9FFF\uA960-\uA97F\uAC00-\uD7FF\uF900-\uFAFF\U00020000-\U0003FFFF]+)',
        ' \1 ', 'g'
    ), ' '), '') END
$$;

-- Whether a word is a run of such a script.
CREATE FUNCTION is_run_of_characters(word text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT octet_length(word) > char_length(word) AND word ~ '^[\u0E01-\u0EDF\u1000-\u109F\u1100-\u11FF\u1780-\u17FF\u2E80-\u2FDF\u3005-\u3007\u3021-\u312F\u3131-\u318E\u31A0-\u31FF\u3400-\u4DBF\u4E00-\u9FFF\uA960-\uA97F\uAC00-\uD7FF\uF900-\uFAFF\U00020000-\U0003FFFF]'
$$;

-- The terms of a product. Of each word: itself, its first 64 characters. Of letters with digits behind or in front, as
-- `iphone15` or `500ml`: both parts too. Of a run of characters: each two that follow each other, and the last alone, so
-- that every character begins a term. Of the name: each two words as if they were one (`T-Shirt`, `iPhone 15`), and of the
-- SKU all of them. And the category and the currency, which with their `=` can't be mistaken for words.
CREATE FUNCTION product_terms(name text, sku text, description text, category text, currency_code text)
RETURNS tsvector LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    WITH texts AS MATERIALIZED (
        SELECT words_of_text(name) AS of_name, words_of_text(sku) AS of_sku, words_of_text(description) AS of_description
    ), words AS (
        SELECT word, place, is_run_of_characters(word) AS is_run
        FROM texts, unnest(of_name || of_description) WITH ORDINALITY AS found (word, place)
    ), pairs AS (
        SELECT word, lead(word) OVER (ORDER BY place) AS next
        FROM texts, unnest(of_name) WITH ORDINALITY AS found (word, place)
    ), terms (term) AS (
        SELECT left(word, 64) FROM words WHERE NOT is_run
        UNION ALL
        SELECT left(part, 64) FROM words, regexp_match(
            word, '^(?:([^0-9]{2,})([0-9]+)([^0-9]*)|([0-9]+)([^0-9]+))$'
        ) AS parts, unnest(parts) AS part
        WHERE word ~ '[0-9]' AND part <> ''
        UNION ALL
        SELECT glyph || COALESCE(lead(glyph) OVER (PARTITION BY place ORDER BY at), '')
        FROM words, unnest(string_to_array(word, NULL)) WITH ORDINALITY AS glyphs (glyph, at)
        WHERE is_run
        UNION ALL
        SELECT left(word || next, 64) FROM pairs
        WHERE next IS NOT NULL AND NOT is_run_of_characters(word) AND NOT is_run_of_characters(next)
        UNION ALL
        SELECT left(word, 64) FROM texts, unnest(of_sku) AS word
        UNION ALL
        SELECT left(array_to_string(of_sku, ''), 64) FROM texts WHERE of_sku <> '{}'
        UNION ALL
        SELECT unnest(ARRAY['category=' || category, 'currency=' || currency_code])
    )
    SELECT array_to_tsvector(array_agg(DISTINCT term)) FROM terms
$$;

-- What a product has to have: the words that are given, unless they are null; the category and the currency, unless they are
-- empty. Null, which nothing matches, where none are among what is given. All words, or two or three of them as one. The
-- last may be the beginning of a word, from two characters on, or three digits: fewer begin too many to be worth finding.
CREATE FUNCTION product_query(given text, category text, currency_code text) RETURNS tsquery
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    WITH words AS (
        SELECT left(word, 64) AS word, place, is_run_of_characters(word) AS is_run,
               place = count(*) OVER () AS is_last
        FROM unnest(words_of_text(given)) WITH ORDINALITY AS found (word, place)
    ), terms (term) AS (
        SELECT '''' || word || '''' || CASE WHEN is_last AND word ~ '..' AND word !~ '^[0-9]{2}$' THEN ':*' ELSE '' END
        FROM words WHERE NOT is_run
        UNION ALL
        SELECT CASE
            WHEN char_length(word) = 1 THEN '''' || word || ''':*'
            ELSE (SELECT string_agg('''' || substr(word, at, 2) || '''', ' & ')
                  FROM generate_series(1, char_length(word) - 1) AS at)
        END
        FROM words WHERE is_run
    ), glued (term) AS (
        SELECT '''' || left(string_agg(word, '' ORDER BY place), 64) || ''':*'
        FROM words HAVING count(*) BETWEEN 2 AND 3 AND NOT bool_or(is_run)
    )
    SELECT CASE WHEN given IS NULL OR count(*) > 0 THEN array_to_string(ARRAY[
        '(' || string_agg(term, ' & ') || COALESCE(' | ' || (SELECT term FROM glued), '') || ')',
        '''category=' || replace(replace(NULLIF(category, ''), '\', '\\'), '''', '''''') || '''',
        '''currency=' || NULLIF(currency_code, '') || ''''
    ], ' & ')::tsquery END
    FROM terms
$$;

-- A price as it is shown: minor units by the decimals that ISO 4217 gives the currency.
CREATE FUNCTION shown_amount(minor_units bigint, currency_code text) RETURNS numeric
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT minor_units * CASE
        WHEN currency_code IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND',
                               'VUV', 'XAF', 'XOF', 'XPF') THEN 1
        WHEN currency_code IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 0.001
        WHEN currency_code IN ('CLF', 'UYW') THEN 0.0001
        ELSE 0.01
    END
$$;

CREATE FUNCTION fill_in_product() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.terms := product_terms(NEW.name, NEW.sku, NEW.description, NEW.category, NEW.currency_code);
    NEW.price_amount := shown_amount(NEW.price_minor_units, NEW.currency_code);
    RETURN NEW;
END
$$;

-- contract: it is there for what the version before writes, and changes no column that this one knows
CREATE TRIGGER products_fill_in BEFORE INSERT OR UPDATE OF
    name, sku, description, category, price_minor_units, currency_code ON products
FOR EACH ROW EXECUTE FUNCTION fill_in_product();
