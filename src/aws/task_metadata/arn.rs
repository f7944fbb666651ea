//! Amazon Resource Names (AWS General Reference, "Amazon Resource Names"), of any partition.

/// `arn:partition:service:region:account:resource`; the resource may hold more colons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    pub partition: &'a str,
    pub service: &'a str,
    pub region: &'a str,
    pub account: &'a str,
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    pub fn parse(text: &'a str) -> Option<Arn<'a>> {
        // arn:aws-cn:ecs:cn-north-1:111122223333:task/demo/0a1b2c3d4e5f6071829a0b1c2d3e4f50
        //     ^ partition
        let mut fields = text.strip_prefix("arn:")?.splitn(5, ':');
        let arn = Arn {
            partition: fields.next()?,
            service: fields.next()?,
            region: fields.next()?,
            account: fields.next()?,
            resource: fields.next()?,
        };
        (!arn.partition.is_empty() && !arn.service.is_empty()).then_some(arn)
    }

    /// What follows the resource's last `/`; nothing where it has none.
    pub fn id(&self) -> &'a str {
        self.resource.rsplit_once('/').map_or("", |(_, id)| id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(text: &str, partition: &str, region: &str, id: &str) {
        let arn = Arn::parse(text).expect(text);
        assert_eq!((arn.partition, arn.region, arn.id()), (partition, region, id), "{text}");
    }

    #[test]
    fn every_partition_is_read() {
        ok("arn:aws:ecs:eu-west-1:111122223333:task/demo/0a1b", "aws", "eu-west-1", "0a1b");
        ok("arn:aws:ecs:eu-west-1:111122223333:task/0a1b", "aws", "eu-west-1", "0a1b");
        ok("arn:aws-cn:ecs:cn-north-1:1:task/demo/0a1b", "aws-cn", "cn-north-1", "0a1b");
        ok("arn:aws-us-gov:ecs:us-gov-west-1:1:cluster/d", "aws-us-gov", "us-gov-west-1", "d");
        ok("arn:aws-iso-b:ecs:us-isob-east-1:1:task/d/e", "aws-iso-b", "us-isob-east-1", "e");
        ok("arn:aws:logs:eu-west-1:1:log-group:/a:*", "aws", "eu-west-1", "a:*");
        ok("arn:aws:s3:::bucket", "aws", "", "");
    }

    #[test]
    fn other_texts_are_no_arn() {
        for text in ["", "demo", "arn:", "arn:aws", "arn:aws:ecs:r:a", "arn::ecs:r:a:task/x"] {
            assert_eq!(Arn::parse(text), None, "{text}");
        }
    }
}
