//! One order is one trace, from the HTTP request to the last gRPC hop behind RabbitMQ.
#![allow(missing_docs)]

use std::net::{Ipv4Addr, SocketAddr};

use e2e::{Stack, its_confirmation_is_part_of_the_trace, one_order_is_one_trace, otlp::Receiver};

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_runs_from_the_request_to_the_last_hop() -> anyhow::Result<()> {
    let receiver = Receiver::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let stack = Stack::builder().with_otlp(&receiver).start().await?;
    let rabbitmq = stack.rabbitmq().await?;
    rabbitmq.tap("order.confirmed").await?;
    let (admin, customer) = (stack.shop().admin().await?, stack.shop().customer().await?);
    let product = admin.new_product("12", 3).await?;
    let order = customer
        .decided(&customer.place_order(&[(&product, 2)]).await?)
        .await?;
    anyhow::ensure!(order["status"] == "confirmed", "{order}");
    one_order_is_one_trace(&receiver, &order).await?;
    its_confirmation_is_part_of_the_trace(&receiver).await?;
    stack.stop().await
}
