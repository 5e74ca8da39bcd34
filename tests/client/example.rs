//! Asks, takes an offered question or sends the customer to people: the whole of a bot in Rust.
//!
//! The client comes from /openapi.json:  openapi-generator-cli generate -g rust -i openapi.json -o zhida_client --additional-properties=packageName=zhida_client
use zhida_client::apis::{configuration::Configuration, default_api};
use zhida_client::models::{AnswerRequest, Decision, FeedbackRequest};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let base_path = words.next().ok_or("usage: bot ADDRESS [KEY]")?;
    let zhida = Configuration { base_path, bearer_access_token: words.next(), ..Configuration::default() };
    for text in ["怎么申请退货", "2", "转人工"] {
        let session = Some(Some("example".to_owned()));
        let question = AnswerRequest { session, ..AnswerRequest::new(text.to_owned()) };
        let got = default_api::answer(&zhida, question).await?;
        println!("{text}\t{:?}\t{}", got.decision, got.answer.flatten().map_or(String::new(), |answer| answer.entry));
        if got.decision == Decision::Answer {
            let solved = FeedbackRequest { solved: Some(Some(true)), ..FeedbackRequest::new(got.trace_id) };
            default_api::feedback(&zhida, solved).await?;
        }
    }
    Ok(())
}
