//! How long the texts and lists of the contracts may be, and what an answer can weigh at most because of that.
//!
//! The services check what they take by these numbers, and a caller lets an answer be as large as they allow: an answer
//! that its server can give is one that its caller can read. Sizes are in bytes, as protobuf encodes them, and generous:
//! a later version may add fields.

/// The most entries on a page of a list.
pub const PAGE_SIZE: u32 = 100;
/// The longest cursor of a list, in characters of ASCII.
pub const CURSOR: usize = 2_048;
/// The most lines of an order.
pub const ORDER_LINES: usize = 100;
/// The most orders whose stock is asked for in one call.
pub const ALLOCATIONS: usize = 1_000;
/// The longest stock keeping unit of a product, in characters.
pub const PRODUCT_SKU: usize = 100;
/// The longest name of a product, in characters.
pub const PRODUCT_NAME: usize = 200;
/// The longest description of a product, in characters.
pub const PRODUCT_DESCRIPTION: usize = 10_000;
/// The longest category of a product, in characters.
pub const PRODUCT_CATEGORY: usize = 100;
/// The longest address of a product's image, in characters.
pub const PRODUCT_IMAGE_URL: usize = 2_000;
/// The most categories of a list.
pub const CATEGORIES: usize = 1_000;
/// The longest reason of a movement of stock, in characters.
pub const MOVEMENT_REASON: usize = 200;
/// What is kept of a text that a change replaced or brought, in characters.
pub const AUDITED_TEXT: usize = 200;
/// The most fields that one change is recorded with.
pub const AUDITED_FIELDS: usize = 16;

/// The largest message that every gRPC client takes by itself.
const DEFAULT_MESSAGE: usize = 4 * 1024 * 1024;
/// A tag and a length.
const FIELD: usize = 2 + 5;
const NUMBER: usize = FIELD + 10;
const UUID: usize = FIELD + 36;
const MONEY: usize = FIELD + NUMBER + text(3);
const TIMESTAMP: usize = FIELD + 2 * NUMBER;
/// The name of a value of an enum.
const NAME: usize = text(64);
/// For what a later version may add to a message.
const ROOM: usize = 256;
/// W3C trace context: `traceparent`, and a `tracestate` of its longest.
const TRACE: usize = FIELD + text(64) + text(512);

/// A character of UTF-8 has four bytes at most.
const fn text(characters: usize) -> usize {
    FIELD + 4 * characters
}

const ORDER_LINE: usize = FIELD + UUID + text(PRODUCT_NAME) + NUMBER + 2 * MONEY + ROOM;
/// The largest order: all its lines, each with the longest name.
pub const ORDER: usize = FIELD
    + 2 * UUID
    + 2 * NUMBER
    + NAME
    + MONEY
    + REJECTION
    + 2 * TIMESTAMP
    + ROOM
    + ORDER_LINES * ORDER_LINE;
/// The largest page of orders.
pub const ORDERS_PAGE: usize = page(ORDER);

/// The largest product: all its texts at their longest.
pub const PRODUCT: usize = FIELD
    + UUID
    + text(PRODUCT_SKU)
    + text(PRODUCT_NAME)
    + text(PRODUCT_DESCRIPTION)
    + text(PRODUCT_CATEGORY)
    + text(PRODUCT_IMAGE_URL)
    + MONEY
    + 2 * NUMBER
    + 2 * TIMESTAMP
    + ROOM;
/// The largest page of products.
pub const PRODUCTS_PAGE: usize = page(PRODUCT);

/// The largest movement of stock.
pub const MOVEMENT: usize = FIELD + 2 * UUID + 3 * NUMBER + NAME + text(MOVEMENT_REASON) + TIMESTAMP + ROOM;
/// The largest page of movements.
pub const MOVEMENTS_PAGE: usize = page(MOVEMENT);

/// The largest request for the stock of orders.
pub const ALLOCATE_REQUEST: usize =
    ALLOCATIONS * (FIELD + UUID + TRACE + ROOM + ORDER_LINES * (FIELD + UUID + NUMBER));

/// The name of a reason, which has at most 64 characters of ASCII.
const REASON: usize = FIELD + 64;
/// The largest rejection: every line at fault, and the first of them once more.
const REJECTION: usize = FIELD + (1 + ORDER_LINES) * (FIELD + UUID + NUMBER + REASON);
/// The largest answer to it: all of them rejected.
pub const ALLOCATE_ANSWER: usize = ALLOCATIONS * (FIELD + UUID + REJECTION + ROOM);
/// The largest request to record what was answered.
pub const OUTCOMES_REQUEST: usize = ALLOCATIONS * (FIELD + UUID + TRACE + REJECTION + ROOM);

/// The largest record of a change: each field with its name, the text before and the text after. A character of JSON takes
/// six bytes where it is escaped.
pub const AUDIT_RECORD: usize = FIELD
    + 4 * UUID
    + 2 * TIMESTAMP
    + 5 * NAME
    + text(MOVEMENT_REASON)
    + ROOM
    + AUDITED_FIELDS * (NAME + 2 * 6 * AUDITED_TEXT);
/// The largest page of records.
pub const AUDIT_PAGE: usize = page(AUDIT_RECORD);

/// The largest list of categories.
pub const CATEGORIES_LIST: usize = CATEGORIES * (FIELD + text(PRODUCT_CATEGORY) + NUMBER) + ROOM;

const fn page(entry: usize) -> usize {
    PAGE_SIZE as usize * entry + 2 * NUMBER + FIELD + CURSOR + ROOM
}

// One of anything is read by every client, whatever it was told to expect.
const _: () =
    assert!(ORDER < DEFAULT_MESSAGE && PRODUCT < DEFAULT_MESSAGE && MOVEMENTS_PAGE < DEFAULT_MESSAGE);
const _: () = assert!(CATEGORIES_LIST < DEFAULT_MESSAGE);
