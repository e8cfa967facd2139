//! One pass over a server: what is there, what is to be there, and the steps from one to the other.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::ExposeSecret as _;

use super::{
    Changes, Database, Login, PostgresError, Server, scram, session,
    store::{NewRole, Role, Store, Verifier},
    unusable,
};

/// One pass over a server.
pub(super) struct Run<'a> {
    server: &'a Server,
    mark: String,
    store: Store,
    changes: Changes,
}

impl<'a> Run<'a> {
    pub(super) async fn begin(server: &'a Server, shop_uid: &str) -> Result<Self, PostgresError> {
        let mark = format!("shop-operator: {shop_uid}");
        let mut store = Store::open(server).await?;
        // Another replica may believe for a moment that it is still the one to work.
        store.lock(&mark).await?;
        Ok(Self {
            server,
            mark,
            store,
            changes: Changes::default(),
        })
    }

    /// Ends the session, and tells what was done.
    pub(super) async fn end(self) -> Changes {
        self.store.close().await;
        self.changes
    }

    fn changed(&mut self, change: String) {
        // Here too, because a run that fails tells its caller nothing of what it did before.
        tracing::info!(change, "changed the PostgreSQL server");
        self.changes.0.push(change);
    }

    pub(super) async fn look_for_others(&mut self, databases: &[Database]) -> Result<(), PostgresError> {
        for database in databases {
            self.claim_role(&database.owner).await?;
            for login in &database.logins {
                self.claim_role(&login.name).await?;
            }
            self.claim_database(database).await?;
        }
        Ok(())
    }

    /// The role, if it is there. It must be the shop's.
    async fn claim_role(&mut self, name: &str) -> Result<Option<Role>, PostgresError> {
        match self.store.role(name).await? {
            Some(role) if role.mark.as_deref() != Some(&self.mark) => {
                Err(taken(format!("the role {name:?}"), role.mark.as_deref()))
            }
            role => Ok(role),
        }
    }

    /// Whether the database is there. It must be the shop's.
    async fn claim_database(&mut self, wanted: &Database) -> Result<bool, PostgresError> {
        let Some(found) = self.store.database(&wanted.name).await? else {
            return Ok(false);
        };
        let marked = found.mark.as_deref() == Some(&self.mark);
        // A database can't be created and marked at once. One without a mark that belongs to the shop's own role is
        // where a run ended in between.
        let begun = found.mark.is_none()
            && found.owner == wanted.owner
            && unless_taken(self.claim_role(&wanted.owner).await, &mut None)?
                .flatten()
                .is_some();
        if marked || begun {
            Ok(true)
        } else {
            Err(taken(
                format!("the database {:?}", wanted.name),
                found.mark.as_deref(),
            ))
        }
    }

    pub(super) async fn ensure_owner(&mut self, name: &str) -> Result<(), PostgresError> {
        if let Some(role) = self.claim_role(name).await? {
            self.correct(name, &role, false).await?;
        } else {
            self.store.create_role(name, NewRole::Owner, &self.mark).await?;
            self.changed(format!("created the role {name:?}"));
        }
        if self.store.join(name).await? {
            self.changed(format!("joined the role {name:?}"));
        }
        Ok(())
    }

    async fn correct(&mut self, name: &str, role: &Role, can_login: bool) -> Result<(), PostgresError> {
        let words = role.corrections(can_login);
        if !words.is_empty() {
            self.store.alter_role(name, &words).await?;
            self.changed(format!("made the role {name:?} {}", words.join(" ")));
        }
        Ok(())
    }

    pub(super) async fn ensure_database(&mut self, wanted: &Database) -> Result<(), PostgresError> {
        let Database { name, owner, .. } = wanted;
        if !self.claim_database(wanted).await? {
            self.store.create_database(name, owner).await?;
            self.changed(format!("created the database {name:?}"));
        }
        let Some(found) = self.store.database(name).await? else {
            return Err(unusable(name, "it was dropped meanwhile"));
        };
        if found.mark.is_none() {
            self.store.mark_database(name, &self.mark).await?;
            self.changed(format!("marked the database {name:?}"));
        }
        if found.owner != *owner {
            self.store.give_database(name, owner).await?;
            self.changed(format!("gave the database {name:?} to {owner:?}"));
        }
        if found.open_to_all || !found.open_to_owner {
            self.store.restrict_database(name, owner).await?;
            self.changed(format!("restricted the database {name:?} to its owner"));
        }
        Ok(())
    }

    pub(super) async fn ensure_login(
        &mut self,
        database: &Database,
        login: &Login,
    ) -> Result<(), PostgresError> {
        let (name, owner) = (login.name.as_str(), database.owner.as_str());
        let found = self.claim_role(name).await?;
        if let Some(role) = &found {
            self.correct(name, role, true).await?;
        } else {
            let verifier = scram::verifier(login.password.expose_secret());
            let role = NewRole::Login { verifier: &verifier };
            self.store.create_role(name, role, &self.mark).await?;
            self.changed(format!("created the role {name:?}"));
        }
        if !self.store.is_member(name, owner).await? {
            self.store.add_member(name, owner).await?;
            self.changed(format!("made {name:?} a member of {owner:?}"));
        }
        if found.as_ref().and_then(|role| role.acts_as.as_deref()) != Some(owner) {
            self.store.act_as(name, owner).await?;
            self.changed(format!("made {name:?} act as {owner:?}"));
        }
        if found.is_some() && !self.has_password(database, login).await? {
            let verifier = scram::verifier(login.password.expose_secret());
            self.store.set_verifier(name, &verifier).await?;
            self.changed(format!("set the password of {name:?}"));
        }
        Ok(())
    }

    async fn has_password(&mut self, database: &Database, login: &Login) -> Result<bool, PostgresError> {
        let password = &login.password;
        match self.store.verifier(&login.name).await? {
            Verifier::Known(verifier) => {
                Ok(verifier.is_some_and(|verifier| scram::matches(&verifier, password.expose_secret())))
            }
            Verifier::Hidden => {
                session::takes_password(self.server, &login.name, password, &database.name).await
            }
        }
    }

    pub(super) async fn drop_unwanted(&mut self, databases: &[Database]) -> Result<(), PostgresError> {
        // The owner of each role that is wanted. Two databases may have one owner.
        let wanted: BTreeMap<_, _> = databases
            .iter()
            .flat_map(|Database { owner, logins, .. }| logins.iter().map(move |login| (&login.name, owner)))
            .chain(
                databases
                    .iter()
                    .map(|database| (&database.owner, &database.owner)),
            )
            .collect();
        let owners: BTreeSet<_> = databases.iter().map(|database| &database.owner).collect();
        for owner in owners {
            for login in self.store.logins_of(owner, &self.mark).await? {
                match wanted.get(&login) {
                    Some(other) if *other == owner => {}
                    Some(_) => {
                        self.store.remove_member(&login, owner).await?;
                        self.changed(format!("ended the membership of {login:?} in {owner:?}"));
                    }
                    None => {
                        self.shut_out(&login).await?;
                        self.drop_login(&login, owner).await?;
                        self.changed(format!("dropped the role {login:?}"));
                    }
                }
            }
        }
        Ok(())
    }

    /// Drops all that is the shop's, and tells what is in its place but somebody else's.
    pub(super) async fn remove(
        &mut self,
        databases: &[Database],
    ) -> Result<Option<PostgresError>, PostgresError> {
        let mut others = None;
        let mut owners = BTreeSet::new();
        let mut logins = BTreeMap::new();
        for Database {
            owner, logins: named, ..
        } in databases
        {
            let found = unless_taken(self.claim_role(owner).await, &mut others)?;
            if found.flatten().is_some() {
                self.store.join(owner).await?;
                owners.insert(owner);
                let members = self.store.logins_of(owner, &self.mark).await?;
                logins.extend(members.into_iter().map(|login| (login, owner)));
            }
            for Login { name, .. } in named {
                let found = unless_taken(self.claim_role(name).await, &mut others)?;
                if found.flatten().is_some() {
                    logins.insert(name.clone(), owner);
                }
            }
        }
        logins.retain(|login, _| !owners.contains(login));
        // First, so that nobody comes back while the databases go.
        for login in logins.keys() {
            self.shut_out(login).await?;
        }
        for database in databases {
            if unless_taken(self.claim_database(database).await, &mut others)? == Some(true) {
                self.store.drop_database(&database.name).await?;
            }
        }
        for (login, owner) in &logins {
            self.drop_login(login, owner).await?;
        }
        for owner in owners {
            self.store.drop_role(owner).await?;
        }
        Ok(others)
    }

    /// Ends a login's sessions, and lets it begin no other.
    async fn shut_out(&mut self, login: &str) -> Result<(), PostgresError> {
        self.store.lock_out(login).await?;
        self.store.join(login).await?;
        self.store.end_sessions(login).await
    }

    async fn drop_login(&mut self, login: &str, owner: &str) -> Result<(), PostgresError> {
        for database in self.store.traces(login, owner).await? {
            let mut inside = Store::open_database(self.server, &database).await?;
            inside.disinherit(login, owner).await?;
            inside.close().await;
        }
        self.store.drop_role(login).await
    }
}

fn taken(object: String, mark: Option<&str>) -> PostgresError {
    let mark = match mark {
        Some(mark) if mark.starts_with("shop-operator: ") => format!("it is marked {mark:?}"),
        _ => "it has no mark of a shop".to_owned(),
    };
    PostgresError::Taken { object, mark }
}

/// What was found, if it isn't somebody else's. The first that is stays in `others`.
fn unless_taken<T>(
    found: Result<T, PostgresError>,
    others: &mut Option<PostgresError>,
) -> Result<Option<T>, PostgresError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(taken @ PostgresError::Taken { .. }) => {
            others.get_or_insert(taken);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
