//! Methods whose calls share a stream: `shop.multiplex.v1`, and which methods there are.

pub use crate::generated::shop::multiplex::v1::{Call, Reply};
use crate::{
    inventory::{GetPricesRequest, GetPricesResponse, QuotePricesRequest, QuotePricesResponse},
    order::{CreatedOrder, NewOrder, PlaceOrdersRequest, PlaceOrdersResponse},
};

/// A method with a stream each way, of which each message is a call or its answer.
pub trait Method: Send + Sync + 'static {
    /// The path of its request.
    const PATH: &'static str;
    /// What a call asks.
    type Question: Send + 'static;
    /// What it is answered.
    type Answer: Send + 'static;
    /// A call's message.
    type Request: prost::Message
        + Default
        + From<(Call, Self::Question)>
        + Into<(Call, Self::Question)>
        + 'static;
    /// An answer's message: none where the call was refused.
    type Response: prost::Message
        + Default
        + From<(Reply, Option<Self::Answer>)>
        + Into<(Reply, Option<Self::Answer>)>
        + 'static;
}

/// `shop.order.v1.OrderService/PlaceOrders`.
#[derive(Clone, Copy, Debug)]
pub struct PlaceOrders;

impl Method for PlaceOrders {
    const PATH: &'static str = "/shop.order.v1.OrderService/PlaceOrders";
    type Question = NewOrder;
    type Answer = CreatedOrder;
    type Request = PlaceOrdersRequest;
    type Response = PlaceOrdersResponse;
}

/// `shop.inventory.v1.InventoryService/QuotePrices`.
#[derive(Clone, Copy, Debug)]
pub struct QuotePrices;

impl Method for QuotePrices {
    const PATH: &'static str = "/shop.inventory.v1.InventoryService/QuotePrices";
    type Question = GetPricesRequest;
    type Answer = GetPricesResponse;
    type Request = QuotePricesRequest;
    type Response = QuotePricesResponse;
}

macro_rules! messages {
    ($request:ident { $question:ident }, $response:ident { $answer:ident }, $method:ty) => {
        impl From<(Call, <$method as Method>::Question)> for $request {
            fn from((call, question): (Call, <$method as Method>::Question)) -> Self {
                Self {
                    call: Some(call),
                    $question: Some(question),
                }
            }
        }

        // What is missing is what protobuf has for it: its default, which the method's own rules refuse.
        impl From<$request> for (Call, <$method as Method>::Question) {
            fn from(request: $request) -> Self {
                (
                    request.call.unwrap_or_default(),
                    request.$question.unwrap_or_default(),
                )
            }
        }

        impl From<(Reply, Option<<$method as Method>::Answer>)> for $response {
            fn from((reply, $answer): (Reply, Option<<$method as Method>::Answer>)) -> Self {
                Self {
                    reply: Some(reply),
                    $answer,
                }
            }
        }

        impl From<$response> for (Reply, Option<<$method as Method>::Answer>) {
            fn from(response: $response) -> Self {
                (response.reply.unwrap_or_default(), response.$answer)
            }
        }
    };
}

messages!(
    PlaceOrdersRequest { order },
    PlaceOrdersResponse { created },
    PlaceOrders
);
messages!(
    QuotePricesRequest { wanted },
    QuotePricesResponse { prices },
    QuotePrices
);
