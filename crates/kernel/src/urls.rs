//! OCAP URLs that this kernel has issued (link L14): bound to one object for ever, listed, ended one by one.
//!
//! What always holds: a URL that can still be redeemed holds its object; one that was used up holds nothing and is only
//! remembered, for a while, so that whoever used it gets the same answer again. The oid is chance that the host brings.
//! Deliberately elsewhere: what a URL looks like (`sturdy-types`), peers that show one (`remotes/redeeming`).

use crate::blame::{Blame, Fault, Refused};
use crate::control::{Answer, Lasts, UrlInfo, UrlTerms, UrlUse, WhichUrl};
use crate::ctx::Ctx;
use sturdy_store::{ClistByKref, Objects, Owner, Read, Redeemer, UrlExpiries, UrlRecord, UrlUses, Urls, UrlsByOid};
use sturdy_types::defect::{self, Defect};
use sturdy_types::{KRef, ObjectId, Oid, UrlId, VRef};

impl Ctx<'_, '_> {
    /// From now on whoever shows this oid gets the object. Asked again in the same words, it is the same URL.
    pub(crate) fn issue_url(&mut self, target: KRef, oid: &Oid, terms: UrlTerms) -> Result<UrlInfo, Blame> {
        let object = self.leads_to(target)?.ok_or(Refused::NotAnObject(target))?;
        let object = self.known_object(object)?;
        if terms.expires_at.is_some_and(|at| at <= self.now) {
            return Err(Refused::ExpiredAlready.into());
        }
        if let Some(id) = self.get::<UrlsByOid>(oid)? {
            // Whoever did not hear the answer asks again.
            let info = self.url_info(id, &self.need::<Urls>(&id)?)?;
            let once = info.uses != UrlUses::Many;
            let same = info.object == object && once == (terms.uses == UrlUse::Once);
            return if same { Ok(info) } else { Err(Refused::NameTaken("this oid".into()).into()) };
        }
        let limit = self.limits.urls;
        if self.turn.scan::<Urls>(&(), None, limit)?.len() >= limit {
            return Err(Refused::TooManyUrls { limit }.into());
        }
        let id = self.next_id(|counters| {
            counters.urls += 1;
            UrlId(counters.urls)
        })?;
        let uses = match terms.uses {
            UrlUse::Many => UrlUses::Many,
            UrlUse::Once => UrlUses::Once,
        };
        let expires_at = terms.expires_at;
        let record = UrlRecord { oid: oid.clone(), object, issued_at: self.now, expires_at, uses, redeemed: 0 };
        self.hold(object.into())?;
        self.put::<Urls>(&id, &record);
        self.put::<UrlsByOid>(oid, &id);
        if let Some(at) = expires_at {
            self.put::<UrlExpiries>(&(at, id), &());
        }
        Ok(self.url_info(id, &record)?)
    }

    /// All that are not ended, by number.
    pub(crate) fn urls(&self) -> Result<Vec<UrlInfo>, Fault> {
        self.scan::<Urls>(&())?.iter().map(|(id, record)| self.url_info(*id, record)).collect()
    }

    fn url_info(&self, id: UrlId, record: &UrlRecord) -> Result<UrlInfo, Fault> {
        let UrlRecord { object, issued_at, expires_at, ref uses, redeemed, .. } = *record;
        Ok(UrlInfo { id, object, issued_at, expires_at, uses: uses.clone(), redeemed, lasts: self.lasts(object)? })
    }

    /// Whether an object outlives the heap of its vat.
    fn lasts(&self, object: ObjectId) -> Result<Lasts, Fault> {
        let Some(Owner::Vat(vat)) = self.get::<Objects>(&object)?.map(|object| object.owner) else {
            return Ok(Lasts::ForGood);
        };
        let vref = self.get::<ClistByKref>(&(object.into(), vat))?.map(|entry| entry.vref);
        Ok(match vref {
            Some(VRef::Virtual(virt)) if virt.durable => Lasts::ForGood,
            _ if self.root_of(vat)? == Some(object) => Lasts::ForGood,
            _ => Lasts::UntilItsVatRestarts,
        })
    }

    /// Nobody gets anything for this URL any more.
    pub(crate) fn revoke_url(&mut self, which: &WhichUrl) -> Result<Answer, Blame> {
        let id = match which {
            WhichUrl::Number(id) => Some(*id),
            WhichUrl::Oid(oid) => self.get::<UrlsByOid>(oid)?,
        };
        let found = match id {
            Some(id) => self.get::<Urls>(&id)?.map(|record| (id, record)),
            None => None,
        };
        let Some((id, record)) = found else { return Err(Refused::NoSuchUrl.into()) };
        if !defect::broken(Defect::WithdrawnUrlStays) {
            self.end_url(id, &record)?;
        }
        Ok(Answer::Done)
    }

    pub(crate) fn revoke_all_urls(&mut self) -> Result<(), Fault> {
        self.scan::<Urls>(&())?.iter().try_for_each(|(id, record)| self.end_url(*id, record))
    }

    /// Ends what is over, a bounded number at a time.
    pub(crate) fn expire_urls(&mut self) -> Result<(), Fault> {
        for ((at, id), ()) in self.turn.scan::<UrlExpiries>(&(), None, self.limits.cleanup_rows_per_turn)? {
            if at > self.now {
                break;
            }
            let record = self.need::<Urls>(&id)?;
            self.end_url(id, &record)?;
        }
        Ok(())
    }

    fn end_url(&mut self, id: UrlId, record: &UrlRecord) -> Result<(), Fault> {
        self.delete::<Urls>(&id);
        self.delete::<UrlsByOid>(&record.oid);
        if let Some(at) = record.expires_at {
            self.delete::<UrlExpiries>(&(at, id));
        }
        match record.uses {
            UrlUses::Used { .. } => Ok(()),
            UrlUses::Many | UrlUses::Once => self.release(record.object.into()),
        }
    }

    /// What somebody gets who shows an oid, if anything. It is not used up by asking.
    pub(crate) fn stands_for(&self, oid: &Oid, by: Option<Redeemer>, key: &str) -> Result<Option<ObjectId>, Fault> {
        let Some(id) = self.get::<UrlsByOid>(oid)? else { return Ok(None) };
        let record = self.need::<Urls>(&id)?;
        let over = record.expires_at.is_some_and(|at| at <= self.now);
        let its_own = match &record.uses {
            UrlUses::Many | UrlUses::Once => true,
            // The answer was lost: the same redemption gets the same answer.
            UrlUses::Used { by: user, key: under } => by == Some(*user) && under == key,
        };
        if over || !its_own {
            return Ok(None);
        }
        let usable = self.get::<Objects>(&record.object)?;
        Ok(usable.filter(|object| object.reachable > 0 && object.owner != Owner::Orphan).map(|_| record.object))
    }

    /// A redemption has succeeded. Whoever gets the object holds it already.
    pub(crate) fn url_redeemed(&mut self, oid: &Oid, by: Redeemer, key: &str) -> Result<(), Fault> {
        let id = self.need::<UrlsByOid>(oid)?;
        let mut record = self.need::<Urls>(&id)?;
        record.redeemed += 1;
        if record.uses == UrlUses::Once {
            record.uses = UrlUses::Used { by, key: key.to_owned() };
            self.release(record.object.into())?;
            if let Some(at) = record.expires_at {
                self.delete::<UrlExpiries>(&(at, id));
            }
            let until = self.now.saturating_add(self.limits.used_url_age_ms);
            record.expires_at = Some(until);
            self.put::<UrlExpiries>(&(until, id), &());
        }
        self.put::<Urls>(&id, &record);
        Ok(())
    }
}
