//! A role ends with its transaction, however that ends. A pool of one connection makes every caller the next user of
//! the one before.

use sqlx::{Executor, PgPool};
use wharf_domain::{OrganizationId, ProjectId, ProjectLimits, SystemClock, SystemEntropy};
use wharf_store::projects::{self, NewProject};
use wharf_store::{Store, TenantTransaction, sessions};
use wharf_testkit::{Tenant, TestDatabase};

use crate::fixture::{connect, new_session};

/// Notes the project that the connection speaks for, whenever an organization is stored.
const NOTE_PROJECT: &str = "
    CREATE TABLE noted (project text);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        INSERT INTO noted VALUES (current_setting('wharf.project', true));
        RETURN new;
    END $$;
    CREATE TRIGGER note AFTER INSERT ON organizations FOR EACH ROW EXECUTE FUNCTION note()";

/// A transaction that has written.
async fn written(store: &Store, project: ProjectId) -> anyhow::Result<TenantTransaction> {
    let mut transaction = store.tenant(project).await?;
    let admission = sessions::create(&mut transaction, &new_session()).await?;
    assert!(admission.is_some_and(|admission| admission.place().is_some()));
    Ok(transaction)
}

/// Neither role may read the table of migrations: only the user that the service connects as can.
async fn assert_no_role(store: &Store, superuser: &PgPool) -> anyhow::Result<()> {
    store.migrate().await?;
    let mut transaction = store.system().await?;
    let name = ProjectId::mint(&SystemClock, &SystemEntropy).to_string();
    let new = NewProject {
        id: ProjectId::mint(&SystemClock, &SystemEntropy),
        name: &name,
        limits: ProjectLimits::new(1, 1)?,
        organization_name: &name,
        organization: OrganizationId::mint(&SystemClock, &SystemEntropy),
    };
    projects::create(&mut transaction, new).await?;
    transaction.commit().await?;
    // By whichever statement comes first on a connection the setting is null, later it is empty.
    let noted: Vec<String> = sqlx::query_scalar("DELETE FROM noted RETURNING coalesce(project, '')")
        .fetch_all(superuser)
        .await?;
    assert_eq!(noted, [""], "the last tenant's project is still set");
    Ok(())
}

#[tokio::test]
async fn a_role_and_its_project_end_with_the_transaction() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let superuser = database.superuser().await?;
    Tenant::worker(&database.store, "worker", 10).await?;
    let project = Tenant::create(&database.store, "tenant", 10, 10).await?.project;
    superuser.execute(NOTE_PROJECT).await?;
    let store = connect(database.url(), 1).await?;

    written(&store, project).await?.commit().await?;
    assert_no_role(&store, &superuser).await?;

    drop(written(&store, project).await?);
    assert_no_role(&store, &superuser).await?;

    // A statement failed, so the transaction can only be rolled back.
    let mut failed = written(&store, project).await?;
    let mut twice = new_session();
    sessions::create(&mut failed, &twice).await?;
    twice.options = serde_json::json!({"twice": true});
    assert!(
        sessions::create(&mut failed, &twice).await.is_err(),
        "the id is taken"
    );
    drop(failed);
    assert_no_role(&store, &superuser).await?;

    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM sessions")
        .fetch_one(&superuser)
        .await?;
    assert_eq!(kept, 1, "only what was committed is kept");
    store.close().await;
    database.close().await
}
